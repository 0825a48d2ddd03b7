/* Trellis, in the browser. Pages work without this file; only signing here needs it. No dependency. */
'use strict';
const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
const utf8 = new TextEncoder();

/* Dark or light */
all('[data-theme-toggle]').forEach((button) => {
  button.hidden = false;
  button.addEventListener('click', () => {
    const root = document.documentElement;
    const now = root.dataset.theme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
    root.dataset.theme = now === 'dark' ? 'light' : 'dark';
    try { localStorage.setItem('theme', root.dataset.theme); } catch (refused) { /* for this page only */ }
  });
});

/* The menu on a phone; without script it opens by its link's target */
const menu = one('.menu');
if (menu) {
  const side = one('.side');
  menu.setAttribute('role', 'button');
  menu.setAttribute('aria-expanded', 'false');
  menu.addEventListener('click', (event) => {
    event.preventDefault();
    menu.setAttribute('aria-expanded', String(side.classList.toggle('open')));
  });
}

/* Choosing: find a place in a list; say when the number is for an older choice. Counts nothing. */
all('[data-find]').forEach((box) => { box.hidden = false; });
all('[data-filter]').forEach((field) => {
  const labels = all('label', document.getElementById(field.dataset.filter));
  field.addEventListener('input', () => {
    const sought = field.value.trim().toLowerCase();
    labels.forEach((label) => { label.hidden = !label.textContent.toLowerCase().includes(sought); });
  });
  field.addEventListener('keydown', (event) => { if (event.key === 'Enter') event.preventDefault(); });
});
const choosing = one('[data-choose]');
if (choosing && one('.pnum')) {
  choosing.addEventListener('change', (event) => {
    if (event.target.type !== 'checkbox') return;
    one('[data-stale]').hidden = false;
    one('[data-estimate]').classList.add('stale');
    const use = one('button[form=use]');
    if (use) use.disabled = true;
  });
}

/* Writing: the preview follows what is typed, after a pause; without script there is its button */
const see = one('[data-see]');
if (see && see.form.requestSubmit) {
  let pause = 0;
  const show = () => see.form.requestSubmit(see);
  const soon = (event) => {
    if (event.target.form !== see.form) return;
    clearTimeout(pause);
    pause = setTimeout(show, 1500);
  };
  document.addEventListener('input', soon);
  see.form.addEventListener('submit', (event) => { if (event.submitter !== see) clearTimeout(pause); });
  if (see.form.dataset.changed) addEventListener('load', show);
}

/* Watching: the server's own fragment, again every few seconds while something moves */
const watch = one('[data-watch]');
if (watch) {
  const first = one('[data-state]', watch).dataset.state;
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(watch.dataset.watch, { credentials: 'same-origin' });
      if (!answer.ok) return;
      watch.innerHTML = await answer.text();
      if (one('[data-state]', watch).dataset.state !== first) location.reload();
    } catch (offline) { /* the old figures stay until the line is back */ }
  }, 5000);
}

/* Bytes */
const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
const unhex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
const join = (...parts) => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => { whole.set(part, at); return at + part.length; }, 0);
  return whole;
};
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
const unbase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/* RFC 8785 for what is signed here: texts, whole numbers, null, true, false, lists, objects */
function canonical(value) {
  if (Array.isArray(value)) return '[' + value.map(canonical).join(',') + ']';
  if (value !== null && typeof value === 'object') {
    return '{' + Object.keys(value).sort().map((key) => JSON.stringify(key) + ':' + canonical(value[key])).join(',') + '}';
  }
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new Error('a number without a canonical form');
  return JSON.stringify(value);
}
const COMMIT = utf8.encode('trellis/commit/v1\n');
const ENTRY = 'trellis/entry/v1\n';
const ENTRY_BYTES = 1536;
const commitment = async (salt, value) => hex(await sha256(join(COMMIT, unhex(salt), utf8.encode(canonical(value)))));

/* The key: made here, not extractable, one per person who signs on this browser */
function shelf() {
  return new Promise((done, failed) => {
    const asked = indexedDB.open('trellis', 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore('keys');
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}
async function stored(mode, work) {
  const database = await shelf();
  try {
    return await new Promise((done, failed) => {
      const asked = work(database.transaction('keys', mode).objectStore('keys'));
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => failed(asked.error);
    });
  } finally { database.close(); }
}
const keyOf = (actor) => stored('readonly', (keys) => keys.get(actor));
const publicOf = async (pair) => hex(await crypto.subtle.exportKey('raw', pair.publicKey));

async function send(method, address, csrf, body) {
  const answer = await fetch(address, {
    method, credentials: 'same-origin',
    headers: { 'content-type': 'application/json', 'x-csrf-token': csrf },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.detail || said.title || 'The server refused. Nothing was changed.');
  return said;
}

const keyPanel = one('[data-key]');
async function showKey(pair, code) {
  one('[data-key-state]').textContent = 'kept in this browser';
  one('[data-key-state]').classList.add('ok');
  one('[data-public]').hidden = false;
  one('[data-public-hex]').textContent = await publicOf(pair);
  one('[data-make]').textContent = 'Ask for a code again';
  if (code) {
    /* The key stands in the command: the tool need not believe the server about it */
    one('[data-make]').hidden = true;
    one('[data-enrol]').hidden = false;
    one('[data-command]').textContent = 'trellis partner enrol-browser --home YOUR-FOLDER ' + code + ':' + await publicOf(pair);
  }
  all('[data-approve] [data-go]').forEach((button) => { button.disabled = false; });
  all('[data-approve] [data-out]').forEach((line) => { line.textContent = ''; });
}
if (keyPanel && window.crypto && crypto.subtle && window.indexedDB) {
  keyPanel.hidden = false;
  const actor = keyPanel.dataset.actor;
  const csrf = one('[name=csrf]').value;
  keyOf(actor).then(async (pair) => { if (pair) await showKey(pair, await keyOf(actor + ' code')); });
  one('[data-make]').addEventListener('click', async (event) => {
    const out = one('[data-key-out]');
    event.target.disabled = true;
    try {
      let pair = await keyOf(actor);
      if (!pair) {
        pair = await crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify']);
        await stored('readwrite', (keys) => keys.put(pair, actor));
      }
      const asked = await send('POST', '/api/v1/browser-keys/start', csrf, { public: await publicOf(pair) });
      await stored('readwrite', (keys) => keys.put(asked.code, actor + ' code'));
      await showKey(pair, asked.code);
      out.textContent = 'The key is made. It counts once your tool has enrolled it.';
    } catch (refused) {
      out.textContent = 'That did not work: ' + refused.message;
    } finally { event.target.disabled = false; }
  });
} else if (keyPanel) {
  all('[data-approve] [data-out], [data-withdraw] [data-out]').forEach((line) => {
    line.textContent = 'A browser can keep a signing key only over https. Use your tool instead.';
  });
}

/* Saying yes: everything shown is hashed again here before anything is signed */
const approving = one('[data-approve]');
if (approving) {
  const go = one('[data-go]', approving);
  go.addEventListener('click', async () => {
    const out = one('[data-out]', approving);
    const steps = all('[data-steps] li', approving);
    const step = (number, good, why) => {
      steps[number].className = good ? 'done' : 'bad';
      if (!good) throw new Error(why);
    };
    go.disabled = true;
    one('[data-steps]', approving).hidden = false;
    steps.forEach((item) => { item.className = ''; });
    try {
      const campaign = approving.dataset.approve;
      const text = one('[data-manifest]').textContent;
      const manifest = JSON.parse(text);
      const template = hex(await sha256(utf8.encode(one('[data-template]').textContent)));
      step(0, template === manifest.template && manifest.campaign === campaign, 'The letter shown is not the letter in the manifest.');
      const digest = hex(await sha256(utf8.encode(text)));
      step(1, digest === one('[data-digest]').textContent.trim() && canonical(manifest) === text, 'The manifest does not give this fingerprint.');
      const pair = await keyOf(approving.dataset.actor);
      if (!pair) throw new Error('This browser has no key yet. Make one first.');
      const mine = await publicOf(pair);
      const base = '/api/v1/campaigns/' + encodeURIComponent(campaign);
      const draft = await send('GET', base + '/approval-draft?public=' + mine, approving.dataset.csrf);
      const entry = draft.entry_unsigned;
      const said = (name) => (draft.openings[name] || {}).value;
      const names = Object.keys(draft.openings).sort();
      const listed = Object.keys(entry.commitments).concat('actor').sort();
      let good = draft.digest === digest && said('digest') === digest && said('campaign') === campaign
        && said('kind') === 'approve' && said('actor') === mine && entry.type === 'approval'
        && canonical(names) === canonical(['actor', 'campaign', 'digest', 'kind']) && canonical(names) === canonical(listed);
      for (const name of names) {
        const fixed = name === 'actor' ? entry.actor : entry.commitments[name];
        good = good && fixed === await commitment(draft.openings[name].salt, said(name));
      }
      const body = { actor: entry.actor, at: entry.at, commitments: entry.commitments, type: entry.type };
      const message = utf8.encode(ENTRY + canonical(body));
      step(2, good && hex(message) === draft.message, 'The server asked for a signature under something else. Nothing was signed.');
      const signature = hex(await crypto.subtle.sign({ name: 'Ed25519' }, pair.privateKey, message));
      await send('PUT', base + '/browser-approval', approving.dataset.csrf, { entry_unsigned: entry, signature, openings: draft.openings });
      step(3, true);
      out.textContent = 'You said yes to exactly this. It goes into the public log.';
      approving.dataset.done = 'yes';
    } catch (refused) {
      out.textContent = refused.message;
      go.disabled = false;
    }
  });
}

/* Withdrawing: the entry is written and signed here, one for each epoch that has the list */
async function withdrawal(pair, bundle) {
  const facts = { actor: await publicOf(pair), bundle, kind: 'bundle' };
  const openings = {};
  const commitments = {};
  for (const name of Object.keys(facts)) {
    openings[name] = { salt: hex(crypto.getRandomValues(new Uint8Array(32))), value: facts[name] };
    commitments[name] = await commitment(openings[name].salt, facts[name]);
  }
  const body = { actor: commitments.actor, at: new Date().toISOString().slice(0, 13) + 'Z', commitments, type: 'withdrawal' };
  delete commitments.actor;
  body.signature = hex(await crypto.subtle.sign({ name: 'Ed25519' }, pair.privateKey, utf8.encode(ENTRY + canonical(body))));
  const room = ENTRY_BYTES - utf8.encode(canonical({ ...body, pad: '' })).length;
  return { entry: base64(utf8.encode(canonical({ ...body, pad: '0'.repeat(room) }))), openings };
}

const withdrawing = one('[data-withdraw]');
if (withdrawing) {
  const go = one('[data-go]', withdrawing);
  const word = one('#word');
  word.addEventListener('input', () => { go.disabled = word.value.trim().toLowerCase() !== 'withdraw'; });
  one('[data-withdraw-form]').addEventListener('submit', async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    const out = one('[data-out]', withdrawing);
    go.disabled = true;
    try {
      const every = withdrawing.dataset.withdraw.split(' ');
      const pair = await keyOf(withdrawing.dataset.actor);
      if (!pair) throw new Error('This browser has no key yet. Make one first, or use your tool.');
      const bundles = {};
      for (const bundle of every) bundles[bundle] = await withdrawal(pair, bundle);
      await send('POST', '/api/v1/contributions/' + encodeURIComponent(every[0]) + '/browser-withdrawal', withdrawing.dataset.csrf, { bundles });
      out.textContent = 'Withdrawn. Gone now from the service; from backups after ' + withdrawing.dataset.days + ' days.';
      withdrawing.dataset.done = 'yes';
    } catch (refused) {
      out.textContent = refused.message;
      go.disabled = false;
    }
  });
}

/* Signed notes: the log's own signature (type 1) and witnesses' cosignatures (type 4), c2sp.org */
async function readKey(vkey) {
  const first = vkey.indexOf('+');
  const second = vkey.indexOf('+', first + 1);
  const name = vkey.slice(0, first);
  const id = vkey.slice(first + 1, second);
  const bytes = unbase64(vkey.slice(second + 1));
  const told = hex((await sha256(join(utf8.encode(name + '\n'), bytes))).slice(0, 4));
  if (told !== id) throw new Error('A key on this page is damaged.');
  if (bytes.length !== 33 || ![1, 4].includes(bytes[0])) return null; // of a kind no browser checks yet
  const key = await crypto.subtle.importKey('raw', bytes.slice(1), { name: 'Ed25519' }, false, ['verify']);
  return { name, id, type: bytes[0], key };
}
async function signedBy(note, vkey) {
  const known = await readKey(vkey);
  if (!known) return null;
  const end = note.lastIndexOf('\n\n');
  const text = note.slice(0, end + 1);
  for (const line of note.slice(end + 2).split('\n')) {
    const [dash, name, payload, more] = line.split(' ');
    if (dash !== '\u2014' || name !== known.name || !payload || more !== undefined) continue;
    const bytes = unbase64(payload);
    if (hex(bytes.slice(0, 4)) !== known.id) continue;
    const stamped = known.type === 4;
    const time = stamped ? new DataView(bytes.buffer).getBigUint64(4) : 0n;
    const message = stamped ? 'cosignature/v1\ntime ' + time + '\n' + text : text;
    const good = await crypto.subtle.verify({ name: 'Ed25519' }, known.key, bytes.slice(stamped ? 12 : 4), utf8.encode(message));
    if (!good) throw new Error('The signature of ' + name + ' does not fit.');
    return true;
  }
  return false;
}
/* Throws when the log's signature or a quorum is missing, or a known signature is bad */
async function cosigned(note, keys) {
  const origin = keys.log.slice(0, keys.log.indexOf('+'));
  if (note.split('\n')[0] !== origin) throw new Error('That is the signed note of another log.');
  if (!await signedBy(note, keys.log)) throw new Error('The log’s own signature is missing.');
  const all = await Promise.all(keys.witnesses.split(' ').filter(Boolean).map((vkey) => signedBy(note, vkey)));
  const count = all.filter(Boolean).length;
  const unread = all.filter((one) => one === null).length;
  if (count < Number(keys.quorum) && count + unread >= Number(keys.quorum)) throw new DOMException('The keys of ' + unread + ' witnesses are of a kind that no browser checks yet.', 'NotSupportedError');
  if (!Number(keys.quorum) || count < Number(keys.quorum)) throw new Error('Only ' + count + ' witnesses signed; ' + keys.quorum + ' are needed.');
  return count;
}

/* Checking an entry: RFC 9162, 2.1.3.2, over the bytes on this page */
const checking = one('[data-verify]');
if (checking) {
  const go = one('[data-go]', checking);
  go.hidden = false;
  go.addEventListener('click', async () => {
    const steps = all('li', checking);
    const [head, note] = one('[data-proof]').textContent.split(/\n\n([\s\S]*)/);
    const lines = head.split('\n');
    const index = Number((lines.find((line) => line.startsWith('index ')) || '').slice(6));
    const path = lines.slice(lines.findIndex((line) => line.startsWith('index ')) + 1).filter(Boolean).map(unbase64);
    const [, size, root] = note.split('\n');
    let here = await sha256(join([0], utf8.encode(checking.dataset.entry)));
    const same = hex(here) === one('[data-leaf]').textContent.trim() && index === Number(checking.dataset.index);
    steps[0].className = same ? 'done' : 'bad';
    let node = index;
    let last = Number(size) - 1;
    let fits = index <= last;
    for (const sibling of path) {
      if (last === 0) fits = false;
      if (node % 2 === 1 || node === last) {
        here = await sha256(join([1], sibling, here));
        while (node && node % 2 === 0) { node = Math.floor(node / 2); last = Math.floor(last / 2); }
      } else { here = await sha256(join([1], here, sibling)); }
      node = Math.floor(node / 2);
      last = Math.floor(last / 2);
    }
    fits = fits && last === 0 && hex(here) === hex(unbase64(root));
    steps[1].className = fits ? 'done' : 'bad';
    let why = 'No. The proof does not match. Please report this.';
    let signed = 'false';
    try {
      const count = await cosigned(note, checking.dataset);
      signed = 'true';
      why = 'Yes. This entry is in the log, and ' + count + ' witnesses saw it there. Computed on your device; nothing was sent.';
    } catch (refused) {
      if (refused.name === 'NotSupportedError') {
        signed = 'unknown';
        why = 'This entry leads to the fingerprint on this page. Who signed that, this browser cannot check; the tool can.';
      } else if (same && fits) why = 'No. ' + refused.message + ' Please report this.';
    }
    steps[2].className = { true: 'done', false: 'bad', unknown: '' }[signed];
    checking.dataset.signed = signed;
    checking.dataset.verified = String(same && fits && signed !== 'false');
    one('[data-out]', checking).textContent = same && fits ? why : 'No. The proof does not match. Please report this.';
  });
}

/* Checking the whole log: every leaf hash from its tiles (c2sp.org/tlog-tiles) up to the signed root */
const parent = (left, right) => sha256(join([1], left, right));
async function push(stack, width, hash) {
  while (stack.length && stack[stack.length - 1].width === width) {
    hash = await parent(stack.pop().hash, hash);
    width *= 2;
  }
  stack.push({ width, hash });
}
async function folded(stack) {
  if (!stack.length) return sha256(new Uint8Array());
  let root = stack[stack.length - 1].hash;
  for (let at = stack.length - 2; at >= 0; at -= 1) root = await parent(stack[at].hash, root);
  return root;
}
async function fetched(path) {
  const answer = await fetch('/log/' + path, { credentials: 'omit', cache: path === 'checkpoint' ? 'no-store' : 'default' });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error('The log’s files cannot be read now.');
  return new Uint8Array(await answer.arrayBuffer());
}
function tilePath(number) {
  let path = String(number % 1000).padStart(3, '0');
  for (let rest = Math.floor(number / 1000); rest; rest = Math.floor(rest / 1000)) {
    path = 'x' + String(rest % 1000).padStart(3, '0') + '/' + path;
  }
  return 'tile/0/' + path;
}
async function tile(number, width) {
  const path = tilePath(number);
  const bytes = (width < 256 ? await fetched(path + '.p/' + width) : null) || await fetched(path);
  if (!bytes || bytes.length < 32 * width) throw new Error('Entries are missing: ' + path + ' is not there.');
  return Array.from({ length: width }, (unused, at) => bytes.slice(32 * at, 32 * at + 32));
}
async function rootOf(size, marks, tell) {
  const stack = [];
  const roots = {};
  for (let start = 0; start < size; start += 256) {
    const width = Math.min(256, size - start);
    const leaves = await tile(start / 256, width);
    for (const mark of marks.filter((each) => each > start && each <= start + width)) {
      const copy = stack.slice();
      for (const leaf of leaves.slice(0, mark - start)) await push(copy, 1, leaf);
      roots[mark] = hex(await folded(copy));
    }
    if (width === 256) {
      let row = leaves;
      while (row.length > 1) {
        row = await Promise.all(Array.from({ length: row.length / 2 }, (unused, at) => parent(row[2 * at], row[2 * at + 1])));
      }
      await push(stack, 256, row[0]);
    }
    tell(start + width);
  }
  return roots;
}
const wholeLog = one('[data-check-log]');
if (wholeLog && window.crypto && crypto.subtle) {
  const go = one('[data-go]', wholeLog);
  const out = one('[data-out]', wholeLog);
  const steps = all('li', wholeLog);
  const step = (number, good, why) => {
    steps[number].className = good ? 'done' : 'bad';
    if (!good) throw new Error(why);
  };
  go.hidden = false;
  go.addEventListener('click', async () => {
    go.disabled = true;
    steps.forEach((item) => { item.className = ''; });
    let at = 0;
    try {
      const raw = await fetched('checkpoint');
      if (!raw) throw new Error('Nothing has been recorded yet.');
      const note = new TextDecoder('utf-8', { fatal: true }).decode(raw);
      const [origin, shown, root] = note.split('\n');
      const size = Number(shown);
      const count = await cosigned(note, wholeLog.dataset);
      step(0, true);
      at = 1;
      let before = null;
      try { before = JSON.parse(localStorage.getItem('log ' + origin)); } catch (refused) { /* nothing is kept here */ }
      const roots = await rootOf(size, [size, before ? before.size : 0], (done) => {
        out.textContent = done.toLocaleString() + ' of ' + size.toLocaleString() + ' entries';
      });
      const empty = hex(await sha256(new Uint8Array()));
      step(1, (size ? roots[size] : empty) === hex(unbase64(root)), 'The entries do not lead to the fingerprint that was signed.');
      at = 2;
      const kept = !before || !before.size || (before.size <= size && roots[before.size] === before.root);
      step(2, kept, 'This browser was shown another history before: ' + (before ? before.size + ' entries, ' + before.root : '') + '.');
      try { localStorage.setItem('log ' + origin, JSON.stringify({ size, root: hex(unbase64(root)) })); } catch (refused) { /* nothing is kept here */ }
      out.textContent = 'Yes. ' + size.toLocaleString() + ' entries in one order, signed by the log and ' + count + ' witnesses'
        + (before && before.size ? '; the first ' + before.size.toLocaleString() + ' are those this browser saw before.' : '. This browser remembers it for next time.');
      wholeLog.dataset.checked = 'true';
    } catch (refused) {
      steps[at].className = refused.name === 'NotSupportedError' ? '' : 'bad';
      wholeLog.dataset.checked = 'false';
      out.textContent = refused.name === 'NotSupportedError'
        ? 'This browser cannot check who signed. Use the tool below.' : 'No. ' + refused.message + ' Please report this.';
    } finally { go.disabled = false; }
  });
}
