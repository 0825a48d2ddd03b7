"""The partner's tool: set up, sign, say yes, attest, stop; its lists have modules of their own."""

import hashlib
from pathlib import Path
from typing import Any

import click

from consortium.cli import agreeing, approving, attending, attesting, their_word, withdrawing
from consortium.cli.api import Api
from consortium.cli.days import calendar, keep_day
from consortium.cli.desk import Desk, confirm, json_option, last_line, say, table, waiting
from consortium.cli.errors import HomeRefused, ToolError
from consortium.cli.gauging import quality
from consortium.cli.heeding import stops
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
from consortium.cli.partner_lists import forget, lists_, receipt, upload
from consortium.cli.programmes import answering, attend
from consortium.cli.taking_back import withdraw
from consortium.cli.trying import seed_command
from consortium.cli.vault import write_whole
from consortium.cli.whereabouts import trace_command
from consortium.custodians import CustodianAddress, CustodianProblem
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
command.add_command(seed_command)
for _verb in (
    upload, forget, lists_, quality, receipt, trace_command, withdraw, calendar, keep_day,
    answering, attend, stops,
):  # fmt: skip
    command.add_command(_verb)


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
            _previews(api, preview, examined)
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


def _previews(api: Api, folder: Path, asked: approving.Asked) -> None:
    """Write every arm of a letter as a made-up person would get it."""
    for arm in range(1, 1 + len(asked.manifest.get("arms", [1]))):
        file = folder / (f"{asked.id}.html" if arm == 1 else f"{asked.id}.arm{arm}.html")
        write_whole(file, api.get_bytes(f"/campaigns/{asked.id}/preview?arm={arm}"))
        say(f"Preview on a made-up person: {file}")


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


@command.command()
@home_option
@click.argument("campaign")
@click.option("--yes", is_flag=True, help="Stop without asking.")
@json_option
def stop(home: Path, campaign: str, yes: bool) -> None:
    """Stop a letter for good, at the server and at every custodian. Any one partner can."""
    api = line(home)
    confirm(f"Stop {campaign} for good? What has left has left.", yes, asked_for=True)
    if attending.drop_word(api.home, campaign):
        say("Your standing word for its programme is taken back: nothing else of it goes either.")
    # The custodians first: without their shares nothing opens, whatever the server does.
    told = withdrawing.stop(api.home, campaign, clock=api.clock, transport=outside().transport)
    say(f"Custodians that will open nothing more of it: {', '.join(told.done) or 'none yet'}.")
    answer = api.post(f"/campaigns/{campaign}/stop")
    say(f"The server says: {answer.get('state')}.")
    last_line({"id": campaign, "state": answer.get("state"), "missing": told.missing})
    if told.missing:
        say(f"Not reached: {', '.join(told.missing)}. Run the same command again later.")
        raise click.exceptions.Exit(3)


@command.command()
@home_option
@json_option
def custodians(home: Path) -> None:
    """Ask each custodian how it stands: your quota there, its keys, what it opened, what is odd."""
    who, clock, missing = Home(home), outside().clock, []
    addresses = [CustodianAddress.of(one) for one in who.invite["custodians"]]
    found = []
    for said in their_word.everybody(
        addresses, by=who.id, sign=who.sign, clock=clock, transport=outside().transport
    ):
        if isinstance(said, CustodianProblem):
            missing.append(said.custodian)
            say(str(said))
            continue
        found.append({**said.to_json(), "alarms": list(their_word.alarms(said, clock()))})
        say(*their_word.words(said, who.id, clock()))
    last_line({"custodians": found, "missing": missing})
    if missing:
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
