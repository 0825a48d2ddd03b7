"""On the partner's computer: read a CSV, tokenise, seal, upload, say yes, keep the receipts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

import click

from consortium.cli import (
    agreeing,
    approving,
    attesting,
    dryrun,
    overlap,
    parting,
    uploading,
    withdrawing,
)
from consortium.cli.api import Api, SealedKeys
from consortium.cli.desk import (
    Desk,
    confirm,
    json_option,
    last_line,
    progress,
    say,
    table,
    waiting,
)
from consortium.cli.errors import ApiRefused, HomeRefused, KeysNotYet, ToolError
from consortium.cli.home import Home
from consortium.cli.joining import (
    declared,
    home_option,
    join_command,
    line,
    outside,
    rows_option,
    wait_option,
)
from consortium.cli.lists import OwnList, own_list, own_lists
from consortium.cli.overlap import Target
from consortium.cli.reading import Ready, read_list, report, require_enough, what_leaves
from consortium.cli.vault import write_whole
from matching import group
from matching.evaluation import DEFAULT_CLASS
from provenance.entry import BROWSER_KEY


@click.group(cls=Desk)
def command() -> None:
    """Upload a list, approve, attest, withdraw, keep receipts. Run by a partner's own staff."""


@command.command()
@home_option
@click.option("--id", required=True, help="Short id: a-z, 0-9 and -.")
@click.option("--name", required=True, help="The organisation's name, as letters show it.")
@click.option("--domain", required=True, help="The domain your letters come from.")
@click.option("--relation", required=True, help="Ends 'you are ...' in letters: 'a member'.")
@rows_option
@json_option
def init(home: Path, id: str, name: str, domain: str, relation: str, rows: int | None) -> None:
    """Make this computer's signing key and identity.json."""
    more = declared(rows, DEFAULT_CLASS)
    made = Home.create(
        home, id=id, role="partner", name=name, domain=domain.lower(), relation=relation, **more
    )
    say(
        f"{made.id} is ready. Send {home / 'identity.json'} to the operator; never send signing.key.",  # noqa: E501
        "Back up the folder: without signing.key nobody can withdraw or attest your lists.",
    )
    last_line(made.identity)


command.add_command(join_command)


@command.command()
@home_option
@wait_option
@click.option("--yes", is_flag=True, help="Sign without asking.")
@json_option
def sign(home: Path, wait: float, yes: bool) -> None:
    """Read the race's agreement and sign it."""
    api = line(home)
    document, agreement = agreeing.fetch(api)
    digest = hashlib.sha256(document).hexdigest()
    say(*agreeing.summary(agreement, digest))
    if agreeing.already(api.home, document):
        write_whole(home / agreeing.FILE, document)
        say("You have signed exactly these bytes already.")
        last_line({"digest": digest, "signed": True})
        return
    confirm("Sign this agreement for your organisation?", yes, asked_for=True)
    with waiting("Waiting for the log to hold your signature"):
        leaf = agreeing.sign(api, document, wait)
    say(f"Signed and in the log. Your copy: {home / agreeing.FILE}")
    last_line({"digest": digest, "signed": True, "leaf": leaf})


@command.command()
@home_option
@wait_option
@click.argument("csv", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Upload the usable rows without asking.")
@click.option("--dry-run", is_flag=True, help="Show which bytes would leave; send nothing.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --dry-run: a folder for copies of everything that would leave.",
)
@click.option("--all-rows", is_flag=True, help="Print every refused row.")
@click.option(
    "--attest-consent",
    metavar="BASIS",
    default="",
    help="Vouch, in words, that people with unknown status agreed to be written to.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that blind and check; as many as there are cores by default.",
)
@json_option
def upload(
    home: Path,
    wait: float,
    csv: Path,
    yes: bool,
    dry_run: bool,
    out: Path | None,
    all_rows: bool,
    attest_consent: str,
    workers: int | None,
) -> None:
    """Tokenise, seal and upload a member list; run it again after an interruption."""
    who = Home(home)
    group.available()
    # What was answered under a key that has ended is of no more use to anybody.
    uploading.forget_others(who, who.epochs)
    agreement = agreeing.signed(who).agreement
    ready = read_list(
        csv, agreement.fields, attested=bool(attest_consent.strip()), private=who.state
    )
    say(*report(ready, every=all_rows))
    require_enough(ready, agreement)
    say("", *what_leaves(who, agreement), "")
    if attest_consent.strip():
        say("You vouch that people of unknown status agreed; your words stay on this computer.")
    attested = attest_consent.strip()
    targets = overlap.targets(who, bytes.fromhex(uploading.digest_of(csv)), attested)
    if len(targets) > 1:
        say(*overlap.announced(who))
    unfinished = [one for one in targets if not one.finished]
    for one in targets:
        if one.finished and one.known is not None:
            uploading.tidy(who, one.known)
            say(
                f"This very file is uploaded already, as {one.known.id}. To take it back: withdraw."
            )
        elif one.known is not None:
            say(f"Going on with upload {one.known.id}, begun {one.known.facts['created']}.")
    if unfinished and not dry_run:
        confirm(f"Upload {len(ready.members):,} rows?", yes)
    later = []
    for one in unfinished:
        try:
            _upload_to(
                one,
                ready,
                agreement.fields,
                attested,
                wait,
                workers,
                dry_run=dry_run,
                out=out and out / one.epoch if len(targets) > 1 else out,
            )
        except KeysNotYet as missing:
            if one is targets[0]:
                raise
            later.append(one.epoch)
            say(f"Not to {one.epoch} yet: {missing}", "Then run this very command again.")
    if not dry_run:
        _uploaded(who, targets, later, ready)


def _upload_to(
    target: Target,
    ready: Ready,
    fields: Sequence[str],
    attested: str,
    wait: float,
    workers: int | None,
    *,
    dry_run: bool,
    out: Path | None,
) -> None:
    """One upload to one epoch, from sealing to the receipt; after an interruption it goes on."""
    who, api = target.home, line(target.home)
    keys = api.key_statements()
    own = target.begin(ready.members, api.clock)
    if attested:
        own.note(consent=attested)
    members = uploading.in_order(who, own, ready.members)
    parting.remember(who, own, members)
    with progress(f"Sealing rows on this computer{target.named}") as steps:
        uploading.seal_rows(who, own, members, keys, fields, steps)
    if dry_run:
        dryrun.show(who, own, members, keys, out)
        return
    with progress(f"Codes, evaluated by the custodians{target.named}") as steps:
        client = outside().custodians()

        def tokenise(keys: SealedKeys) -> None:
            uploading.tokenise(who, own, members, keys, steps, workers=workers, client=client)

        api.newer_keys(keys, tokenise, api.key_statements)
    for part in uploading.leaving(own):
        say(f"Sending {part.name}: {part.size:,} bytes, SHA-256 {part.digest}")
    leaf = uploading.send(api, own)
    with waiting("The server has it. Waiting for the log and its witnesses") as state:
        uploading.finish(api, own, leaf, wait, state)
    say(
        f"Done. Receipt: {own.folder / 'receipt.json'}",
        f"List {own.id}, in the log as {leaf[:16]}...",
    )


def _uploaded(who: Home, targets: list[Target], later: list[str], ready: Ready) -> None:
    here = [(one.epoch, own) for one in targets if (own := one.known) is not None]
    mine = {own.id for _, own in here}
    others = [
        one
        for one in own_lists(who)
        if one.id not in mine and one.has("receipt.json") and not one.withdrawn
    ]
    if others:
        say(
            f"You have {len(others)} more list(s) there. If this one replaces one, withdraw that: trellis partner lists"  # noqa: E501
        )
    each = [{"epoch": epoch, **_result(own, ready)} for epoch, own in here]
    last_line({**_result(here[0][1], ready), "epochs": each, "later": later})


def _result(own: OwnList, ready: Ready) -> dict[str, Any]:
    return {
        "id": own.id,
        "leaf": own.facts.get("leaf"),
        "rows": len(ready.members),
        "usable": ready.reading.usable,
        "refused": ready.reading.refused_total,
        "repeated": ready.repeated,
        "receipt": str(own.folder / "receipt.json"),
    }


@command.command()
@home_option
@click.option("--yes", is_flag=True, help="Forget without asking.")
@json_option
def forget(home: Path, yes: bool) -> None:
    """Delete what this computer remembers of the custodians' answers."""
    who = Home(home)
    say(
        "A next upload then asks the custodians for every row again, which your quota counts.",
        "Lists that are uploaded stay as they are.",
    )
    confirm("Forget it?", yes, asked_for=True)
    gone = uploading.forget_others(who, ())
    say(f"Forgotten: {gone} season(s).")
    last_line({"forgotten": gone})


@command.command("lists")
@home_option
@json_option
def lists_(home: Path) -> None:
    """Your lists: on this computer, and what the server says of them."""
    api = line(home)
    answer = api.get("/contributions")
    said = [one for one in answer if isinstance(one, dict)]
    there = {
        str(one.get("id")): str(one.get("state")) + (", frozen" if one.get("frozen") else "")
        for one in said
    }
    rows = []
    for own in own_lists(api.home):
        facts = own.facts
        here = (
            "withdrawn" if own.withdrawn else "receipt" if own.has("receipt.json") else "unfinished"
        )
        rows.append((own.id, facts["created"], f"{facts['rows']:,}", here, there.pop(own.id, "-")))
    for stranger, state in there.items():
        rows.append((stranger, "-", "-", "not on this computer", state))
    table(("list", "begun", "rows", "here", "server"), rows)
    if any(one.get("frozen") for one in said):
        say(
            "Frozen: more than 2 in 100 of its addresses stopped or called a letter spam. No letter"
            " leaves from it, and those stops count for their addresses alone, until the operator"
            " has looked into it with you and says, by name, that it goes on."
        )
    last_line({"lists": [{"id": r[0], "here": r[3], "server": r[4]} for r in rows]})


@command.command()
@home_option
@click.argument("id")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@json_option
def receipt(home: Path, id: str, out: Path) -> None:
    """Copy a list's receipt; anybody can check it: trellis audit receipt FILE."""
    who = Home(home)
    own = own_list(who, id)
    if not own.has("receipt.json"):
        api = line(home)
        answer = api.get(f"/contributions/{UUID(own.id)}")
        uploading.finish(api, own, str(answer.get("leaf")), 0.0, lambda _state: None)
    write_whole(out, (own.folder / "receipt.json").read_bytes())
    say(
        f"Receipt written to {out}. It opens the facts of this upload to whoever has it; no person is in it."  # noqa: E501
    )
    last_line({"id": own.id, "receipt": str(out)})


@command.command()
@home_option
@wait_option
@click.argument("campaign", required=False)
@click.option("--all", "everything", is_flag=True, help="Every campaign that waits for you.")
@click.option("--yes", is_flag=True, help="Approve without asking.")
@click.option(
    "--preview", type=click.Path(file_okay=False, path_type=Path), help="Write previews here."
)
@json_option
def approve(
    home: Path, wait: float, campaign: str | None, everything: bool, yes: bool, preview: Path | None
) -> None:
    """Show exactly what would be signed, and sign it. Without a campaign: list what waits."""
    api = line(home)
    signed = agreeing.signed(api.home)
    asked = _chosen(api, campaign, everything, "approve", ("submitted",))
    if asked is None:
        return
    done, refused = [], 0
    for one in asked:
        try:
            examined = approving.examine(one, signed, api.home)
        except Exception as no:
            refused += _refusal(one, no, len(asked))
            continue
        say(*approving.described(examined, api.home))
        if preview is not None:
            write_whole(
                preview / f"{examined.id}.html", api.get_bytes(f"/campaigns/{examined.id}/preview")
            )
            say(f"Preview on a made-up person: {preview / (examined.id + '.html')}")
        confirm("Approve exactly this?", yes)
        leaf = approving.approve(api, examined)
        done.append((examined.id, leaf))
        say(f"Approved {examined.id}.")
    _log_each(api, done, "approve", wait)
    last_line({"approved": [one for one, _ in done], "refused": refused})
    _fail(refused)


@command.command()
@home_option
@wait_option
@click.argument("campaign", required=False)
@click.option("--all", "everything", is_flag=True, help="Every frozen campaign that waits for you.")
@click.option("--moved", default=0, show_default=True, help="Own rows whose other ZIP you accept.")
@click.option("--digest", default="", help="The digest you approved in the browser.")
@json_option
def attest(
    home: Path, wait: float, campaign: str | None, everything: bool, moved: int, digest: str
) -> None:
    """Check your own rows in a frozen audience, and sign its root."""
    api = line(home)
    signed = agreeing.signed(api.home)
    asked = _chosen(api, campaign, everything, "attest", ("frozen",))
    if asked is None:
        return
    done, refused, counts = [], 0, {}
    for one in asked:
        try:
            asked_of = approving.examine(one, signed, api.home, source=False)
            approved = digest or approving.approved_digest(api.home, str(one.get("id")))
            if api.home.id not in asked_of.manifest["sources"]:
                # Nothing was approved here: what is signed is that no own row is in the set.
                approved = asked_of.digest
            if not approved:
                raise HomeRefused(
                    "this computer did not approve that campaign. Did you approve it in the browser? "  # noqa: E501
                    "Then give the digest that you saw there: --digest HEX"
                )
            examined = attesting.examine(api, one, approved=approved, moved=moved)
        except Exception as no:
            refused += _refusal(one, no, len(asked))
            continue
        for note in examined.notes:
            say(f"Note: {note}")
        leaf = attesting.attest(api, examined)
        done.append((examined.campaign, leaf))
        counts[examined.campaign] = len(examined.rows)
        say(
            f"Attested {examined.campaign}: {len(examined.rows):,} of your rows are in it, all yours, "  # noqa: E501
            f"all live, all in the roster. Which ones: {home / 'audiences' / (examined.campaign + '.csv')}"  # noqa: E501
        )
    _log_each(api, done, "attest", wait)
    last_line({"attested": [one for one, _ in done], "refused": refused, "rows": counts})
    _fail(refused)


def _chosen(
    api: Api, campaign: str | None, everything: bool, step: str, states: tuple[str, ...]
) -> list[dict[str, Any]] | None:
    """The campaigns meant; None after listing what waits."""
    if campaign and everything:
        raise click.UsageError("name a campaign or say --all, not both")
    if campaign:
        return [api.get(f"/campaigns/{campaign}")]
    found = approving.waiting_for(api, step, states)
    if everything:
        if not found:
            say("Nothing waits for you.")
        return [api.get(f"/campaigns/{one['id']}") for one in found]
    if found:
        table(("campaign", "state"), [(str(one["id"]), str(one["state"])) for one in found])
        say(f"Name one, or say --all: trellis partner {step} CAMPAIGN")
    else:
        say("Nothing waits for you.")
    last_line({"waiting": [one["id"] for one in found]})
    return None


def _refusal(campaign: dict[str, Any], no: Exception, asked: int) -> int:
    """Say why one of several is refused and go on; the only one is refused loudly."""
    if asked == 1 or not (
        isinstance(no, ToolError)
        or type(no).__module__.startswith(("policies", "provenance", "matching"))
    ):
        raise no
    say(f"Refused {campaign.get('id')}: {no}")
    return 1


def _fail(refused: int) -> None:
    if refused:
        raise click.exceptions.Exit(1)


def _log_each(api: Api, done: list[tuple[str, str]], step: str, wait: float) -> None:
    if not done:
        return
    with waiting("Waiting for the log to hold it"):
        for campaign, leaf in done:
            approving.logged(api, campaign, step, leaf, wait)


@dataclass(frozen=True, slots=True)
class _Gone:
    """What became of taking back one bundle, or rows of it."""

    own: OwnList
    leaf: str
    days: int | None
    told: withdrawing.Told

    def to_json(self) -> dict[str, Any]:
        """For the last line."""
        said = {"id": self.own.id, "leaf": self.leaf, "backup_days": self.days}
        return {**said, "retired": self.told.done, "missing": self.told.missing}


@command.command()
@home_option
@wait_option
@click.argument("id")
@click.option(
    "--rows",
    type=click.File("r", encoding="utf-8"),
    help="Only these: a file (- is standard input) with a row number or an address in each line.",
)
@click.option("--yes", is_flag=True, help="Withdraw without asking.")
@json_option
def withdraw(home: Path, wait: float, id: str, rows: TextIO | None, yes: bool) -> None:
    """Take a list back, or with --rows some of its rows: shut at every custodian, then gone."""
    api = line(home)
    own = own_list(api.home, id)
    both = [own, *overlap.twins(api.home, own)]
    begun = any(parting.unfinished(api.home, one) for one in both)
    if rows is not None or (begun and not own.withdrawn):
        _withdraw_rows(api, both, rows, yes, wait)
        return
    say(
        f"List {own.id}, begun {own.facts['created']}, {own.facts['rows']:,} rows.",
        *_twins_said(both),
        "Withdrawing removes its rows from the service and stops whatever of them is not sent yet.",
        *_NOT_UNDONE,
    )
    confirm("Withdraw this list?", yes, asked_for=True)
    _left_over([_withdrawn(api, one, wait) for one in both])


def _withdrawn(api: Api, own: OwnList, wait: float) -> _Gone:
    """Take one bundle back; what custodians are missing is said, never swallowed."""
    if not own.has("entry.json"):
        own.note(withdrawn=api.clock().strftime("%Y-%m-%dT%H:%M:%SZ"))
        say(f"{own.id} had never been sent; it is marked withdrawn here.")
        return _Gone(own, "", None, withdrawing.Told((), ()))
    # The custodians first: should the server not answer, the rows are shut all the same.
    if not withdrawing.ghosts(api, own):
        say("The server gave no ghosts to retire with them: custodians can count these rows now.")
    with progress("Custodians told to retire the locks") as steps:
        retired = withdrawing.retire(
            api.home, own, steps, clock=api.clock, transport=outside().transport
        )
    leaf, days = "", None
    try:
        leaf, days = withdrawing.withdraw(api, own)
    except ApiRefused as refused:
        if refused.status != 404:
            raise
        say("The server does not know this list; it is marked withdrawn here.")
    if leaf:
        with waiting("Waiting for the log to hold the withdrawal"):
            withdrawing.logged(api, own, leaf, wait)
    say(f"Withdrawn. Locks retired at: {', '.join(retired.done) or 'no custodian yet'}.")
    if days is not None:
        say(withdrawing.gone(days))
    return _Gone(own, leaf, days, retired)


_NOT_UNDONE = (
    "It does not undo letters already sent; the log keeps only that it happened.",
    "The operator's backups forget later; after how many days, it says in its answer.",
)


def _withdraw_rows(
    api: Api, both: list[OwnList], rows: TextIO | None, yes: bool, wait: float
) -> None:
    own = both[0]
    if own.withdrawn:
        raise HomeRefused("this list is withdrawn already, all of it")
    if not all(one.has("receipt.json") for one in both):
        raise HomeRefused(
            "this list is not in the log yet: finish its upload, or withdraw it whole"
        )
    if rows is not None:
        numbers = parting.numbers(api.home, own, rows)
        say(
            f"List {own.id}: {len(numbers):,} of its rows, {_some(numbers)}.",
            *_twins_said(both),
            "They leave the service, and nobody in them gets another letter through this list.",
            *_NOT_UNDONE,
        )
        confirm(f"Withdraw {len(numbers):,} rows?", yes, asked_for=True)
        for one in both:
            parting.begin(api.home, one, numbers)
    else:
        say(f"Going on with the rows of list {own.id} that were being withdrawn.")
    _left_over([_rows_gone(api, one, wait) for one in both])


def _twins_said(both: list[OwnList]) -> list[str]:
    return [
        f"The same file is there for {one.facts['epoch']} too, as {one.id}; both go."
        for one in both[1:]
    ]


def _rows_gone(api: Api, own: OwnList, wait: float) -> _Gone:
    """Finish taking back whatever rows of one bundle are on their way out."""
    told, leaf, days = withdrawing.Told((), ()), "", None
    for one in parting.unfinished(api.home, own):
        # The custodians first: should the server not answer, the rows are shut all the same.
        with progress("Custodians told to retire the locks") as steps:
            told = parting.retire(
                api.home, one, steps, clock=api.clock, transport=outside().transport
            )
        leaf, days = parting.hand_in(api, own, one)
        with waiting("Waiting for the log to hold the withdrawal"):
            parting.logged(api, one, leaf, wait)
        if not told.missing:
            parting.forget(api.home, own, one)
    say(f"Withdrawn. Locks retired at: {', '.join(told.done) or 'no custodian yet'}.")
    if days is not None:
        say(withdrawing.gone(days))
    return _Gone(own, leaf, days, told)


def _left_over(done: list[_Gone]) -> None:
    missing = sorted({one for each in done for one in each.told.missing})
    last_line(
        {
            **done[0].to_json(),
            "missing": missing,
            "twins": [one.to_json() for one in done[1:]],
        }
    )
    if missing:
        say(f"Not reached: {', '.join(missing)}. Run the same command again later.")
        raise click.exceptions.Exit(3)


def _some(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return f"number {shown}{' ...' if len(numbers) > 10 else ''} in your file"


@command.command()
@home_option
@click.argument("campaign")
@click.option("--yes", is_flag=True, help="Stop without asking.")
@json_option
def stop(home: Path, campaign: str, yes: bool) -> None:
    """Stop a letter for good, at the server and at every custodian. Any one partner can."""
    api = line(home)
    confirm(f"Stop {campaign} for good? What has left has left.", yes, asked_for=True)
    # The custodians first: without their shares nothing opens, whatever the server does.
    told = withdrawing.stop(api.home, campaign, clock=api.clock, transport=outside().transport)
    say(f"Custodians that will open nothing more of it: {', '.join(told.done) or 'none yet'}.")
    answer = api.post(f"/campaigns/{campaign}/stop")
    say(f"The server says: {answer.get('state')}.")
    last_line({"id": campaign, "state": answer.get("state"), "missing": told.missing})
    if told.missing:
        say(f"Not reached: {', '.join(told.missing)}. Run the same command again later.")
        raise click.exceptions.Exit(3)


@command.command("enrol-browser")
@home_option
@click.argument("code")
@click.option("--public", default="", help="The browser's key, 64 hex characters.")
@click.option("--yes", is_flag=True, help="You compared the key with the page already.")
@json_option
def enrol_browser(home: Path, code: str, public: str, yes: bool) -> None:
    """Vouch for the signing key in your browser: CODE, or CODE:KEY, is what the page shows."""
    api = line(home)
    key, short = (public, code) if public else _split_code(code)
    if not key:
        # The server names the key, and could name its own: only the page can tell.
        key = str(api.get(f"/browser-keys/{short}").get("public"))
        say("The server says that this code stands for the browser key", f"  {key}")
        confirm("Does your browser's page show exactly this key?", yes)
    try:
        raw = bytes.fromhex(key)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise click.UsageError("a browser's key has 64 hex characters")
    body = {"code": short, "public": key, "signature": api.home.sign(BROWSER_KEY + raw).hex()}
    api.post("/browser-keys", body)
    say("Your browser's key counts as yours now. It cannot leave that browser.")
    last_line({"public": key, "code": short})


def _split_code(code: str) -> tuple[str, str]:
    """The key, empty when the page showed a code alone, and the code."""
    short, _, key = code.partition(":")
    return key, short
