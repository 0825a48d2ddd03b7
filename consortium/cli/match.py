"""Evaluate, explain and train matching in the clear, on labelled files or on made-up people."""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import click

from consortium.cli import explaining
from consortium.cli.normalising import normalise_command
from matching import labelled, listing, marginal, quality, score, training
from matching.errors import LabelsRefused, RecipeRefused, RollRefused, RowUnknown, WeightsRefused
from matching.explaining import Explained, explain_tables
from matching.listing import Noise
from matching.recipes import Record
from matching.roll.reader import open_roll

HELD_OUT = 900
"""Seed of the town that is evaluated; training's towns must not be seen."""
ELSEWHERE = Noise(
    nickname=0.12,
    surname=0.04,
    moved=0.11,
    typo=0.03,
    address=0.03,
    birth=0.02,
    given=0.02,
    digit=0.02,
)
"""Errors at other rates than the training's."""

Truth = Callable[[], Mapping[int, int]]
"""Asked when both files have passed through, since only then their ids are known."""


@click.group()
def command() -> None:
    """How good is linking? Measured by the recipes, weights and thresholds that ship."""


command.add_command(normalise_command)


def _json(function: Any) -> Any:
    return click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout.")(
        function
    )


def _births(function: Any) -> Any:
    return click.option(
        "--births", type=click.Choice(["year", "date"]), default="year", show_default=True,
        help="What a made-up roll says of a birth.",
    )(function)  # fmt: skip


LISTS = {"systems": listing.HABITS, "association": {"association": listing.ASSOCIATION}}


def _lists(function: Any) -> Any:
    return click.option(
        "--lists", type=click.Choice([*LISTS]), default="systems", show_default=True,
        help="What made-up lists know: exports of three systems in equal parts, one birth date in "
        "six; or a list of dues payers, nearly all with one.",
    )(function)  # fmt: skip


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@command.command()
@click.option("--members", default="4000", show_default=True, metavar="CSV",
              help="A file of people; without --roll, how many to make up.")  # fmt: skip
@click.option("--roll", type=_FILE, metavar="CSV", help="A file of voters, in the same layout.")
@click.option("--truth", type=_FILE, metavar="CSV", help="member_id, voter_id.")
@click.option("--keyed-hash", is_flag=True, help="A keyed hash for the custodians: as equal, fast.")
@click.option("--no-decoys", is_flag=True, help="Only as if the roll kept its shared tokens.")
@click.option("--voters", default=20_000, show_default=True, type=click.IntRange(min=500),
              help="Made-up voters.")  # fmt: skip
@click.option("--seed", default=HELD_OUT, show_default=True, help="Of the made-up town.")
@_births
@_lists
@click.option("--weights", type=_FILE, help="Another weights file than the shipped one.")
@_json
def evaluate(
    members: str,
    roll: Path | None,
    truth: Path | None,
    keyed_hash: bool,
    no_decoys: bool,
    voters: int,
    seed: int,
    births: str,
    lists: str,
    weights: Path | None,
    as_json: bool,
) -> None:
    """Precision and recall on labelled files, or on a made-up town that no weight was trained on.

    \b
    Files are CSV with a header: id, first, middle, last, suffix, dob (YYYY-MM-DD or YYYY),
    house_number, street, unit, city, state, zip, phone, email; any but id may be missing.

    The last line is JSON: precision, recall and f1 at the threshold that ships, and the rest.
    """
    began = time.monotonic()
    chosen = score.load() if weights is None else _read(weights)
    say = _silent if as_json else click.echo
    if roll is None or truth is None:
        if roll or truth or not members.isdigit():
            raise click.UsageError("labelled files are three: --members, --roll and --truth")
        said = _town(int(members), voters, seed, births, lists, chosen, no_decoys, say)
    else:
        outputs = quality.keyed_hash if keyed_hash else quality.one_key
        said = _files(Path(members), roll, truth, outputs, chosen, no_decoys, say)
    said["seconds"] = round(time.monotonic() - began, 1)
    said["peak_mb"] = peak_mb()
    click.echo(json.dumps(said))


def _silent(_line: str) -> None:
    return


def peak_mb() -> int:
    """The most memory that this process has had, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def _files(
    members: Path,
    roll: Path,
    truth: Path,
    outputs: quality.Outputs,
    weights: score.Weights,
    no_decoys: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    if not members.is_file():
        raise click.UsageError("--members: there is no such file")
    try:
        mine, theirs = labelled.open_people(members), labelled.open_people(roll)
        for people in (mine, theirs):
            if any(people.ignored):
                unused = ", ".join(filter(None, people.ignored))
                click.echo(f"{people.path.name}: not used: {unused}", err=True)
        names = (members.name, roll.name)

        def known() -> Mapping[int, int]:
            for people in (mine, theirs):
                _tell_unread(people)
            return labelled.read_truth(truth, mine.numbers(), theirs.numbers(), files=names)

        return _reports(
            enumerate(mine.records()), enumerate(theirs.records()), known, outputs, weights,
            no_decoys, say,
        )  # fmt: skip
    except LabelsRefused as refused:
        raise click.ClickException(str(refused)) from refused


def _tell_unread(people: labelled.People) -> None:
    """What counted as missing although something stood there: a wrong form would pass unseen."""
    for column, unread in people.unread.items():
        click.echo(
            f"{people.path.name}, column {column}: {unread.cells:,} cells cannot be read and count "
            f"as missing, the first in row {unread.first}",
            err=True,
        )


def _town(
    members: int,
    voters: int,
    seed: int,
    births: str,
    lists: str,
    weights: score.Weights,
    no_decoys: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    if members < 30:
        raise click.UsageError("--members: 30 or more are needed")
    if seed in training.SEEDS:
        raise click.UsageError(f"the weights were trained on seed {seed}: take another one")
    town = training.sample(
        seed, voters=voters, members=members, dated=births == "date", noise=ELSEWHERE,
        habits=LISTS[lists],
    )  # fmt: skip
    say(f"{voters:,} made-up voters, a list of {len(town.listed):,} people, {len(town.truth):,} of "
        f"them on the roll (seed {seed}, births: {births})")  # fmt: skip
    say("Made-up people differ from yours: take it as a bound on the method, not as yours.")
    found = _reports(
        town.members(), town.voters(), lambda: town.truth, quality.keyed_hash, weights, no_decoys,
        say,
    )  # fmt: skip
    return {"voters": voters, "rows": len(town.listed), "seed": seed, "births": births,
            "lists": lists, **found}  # fmt: skip


def _reports(
    members: Iterable[tuple[int, Record]],
    voters: Iterable[tuple[int, Record]],
    truth: Truth,
    outputs: quality.Outputs,
    weights: score.Weights,
    no_decoys: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The figures with decoys, and without beside them."""
    with quality.tables(members, voters, outputs=outputs) as base:
        real = truth()

        def one(words: str, arrange: Callable[[Any], None]) -> dict[str, Any]:
            arrange(base)
            links, pairs = quality.linked(base, real, weights)
            found = quality.report(links, true=len(real), pairs=pairs, weights=weights)
            _tell(say, words, found)
            return found.figures()

        if no_decoys:
            return {"decoys": False, **one("without decoys", quality.show)}
        hidden = one("with decoys", quality.hide)
        return {"decoys": True, **hidden, "without_decoys": one("without decoys", quality.show)}


def _tell(say: Callable[[str], None], words: str, found: quality.Report) -> None:
    likely, certain = found.likely, found.certain
    say(f"{words}: {likely.true:,} on the roll; linked {likely.linked:,}, right {likely.right:,}")
    say(f"  likely   precision {likely.precision:.4f}, recall {likely.recall:.4f}, "
        f"F1 {likely.f1:.4f}")  # fmt: skip
    say(f"  certain  precision {certain.precision:.4f}, recall {certain.recall:.4f}")
    say(
        f"  recall at precision .99: {found.recall_at_p99:.4f}, at .999: "
        f"{found.recall_at_p999:.4f}; best F1 {found.f1_best:.4f}; {found.pairs:,} pairs"
    )


@command.command()
@click.argument("link")
@click.option("--home", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="The operator's folder; LINK is CONTRIBUTION:ROW.")  # fmt: skip
@click.option("--members", type=_FILE, metavar="CSV", help="A labelled file; LINK is an id in it.")
@click.option("--roll", type=_FILE, metavar="CSV", help="The file of voters it is held against.")
@_json
def explain(
    link: str, home: Path | None, members: Path | None, roll: Path | None, as_json: bool
) -> None:
    """Say why a row is linked, or is not: which recipes agreed, what each weighs; never who."""
    if home is not None:
        told = explaining.explained(home, link)
        _explain(told.found, as_json, explaining.of_run(told), explaining.said_of_run(told))
    elif members is not None and roll is not None:
        _explain(_in_files(members, roll, link), as_json, {}, [])
    else:
        raise click.UsageError("give --home, or --members and --roll")


def _explain(
    found: Explained | None, as_json: bool, more: dict[str, Any], words: list[str]
) -> None:
    if found is None:
        raise click.ClickException("no voter shares a token with this row: it is not linked")
    if as_json:
        click.echo(json.dumps({**explaining.figures(found), **more}))
    else:
        click.echo("\n".join([*explaining.lines(found), *words]))


def _in_files(members: Path, roll: Path, link: str) -> Explained | None:
    try:
        mine, theirs = labelled.open_people(members), labelled.open_people(roll)
        rows = list(enumerate(mine.records()))
        if link not in mine.numbers():
            raise click.UsageError(f"LINK: {members.name} has no such id")
        with quality.tables(rows, enumerate(theirs.records())) as base:
            quality.hide(base)
            try:
                return explain_tables(base, mine.numbers()[link], score.load())
            except RowUnknown:  # no recipe has its fields
                return None
    except LabelsRefused as refused:
        raise click.ClickException(str(refused)) from refused


@command.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--voters", default=20_000, show_default=True, type=click.IntRange(min=500))
@click.option("--members", default=4_000, show_default=True, type=click.IntRange(min=30))
@click.option("--seed", default=HELD_OUT, show_default=True)
@_births
@_lists
def make(out: Path, voters: int, members: int, seed: int, births: str, lists: str) -> None:
    """Write a made-up town as labelled files: members.csv, roll.csv, truth.csv."""
    town = training.sample(
        seed, voters=voters, members=members, dated=births == "date", noise=ELSEWHERE,
        habits=LISTS[lists],
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    labelled.write_people(out / "roll.csv", town.roll_rows())
    labelled.write_people(out / "members.csv", town.list_rows())
    labelled.write_truth(out / "truth.csv", ((f"m{m}", f"v{v}") for m, v in town.truth.items()))
    click.echo(f"{out}: {voters:,} voters, {len(town.listed):,} members, {len(town.truth):,} on "
               "the roll")  # fmt: skip


@command.command()
@click.option("--voters", default=20_000, show_default=True, type=click.IntRange(min=500))
@click.option("--members", default=4_000, show_default=True, type=click.IntRange(min=30))
@click.option("--seed", default=HELD_OUT, show_default=True)
@_lists
@click.option("--roll", type=click.Path(exists=True, path_type=Path),
              help="A voter file: how common each recipe's tokens are there.")  # fmt: skip
@_json
def recipes(
    voters: int, members: int, seed: int, lists: str, roll: Path | None, as_json: bool
) -> None:
    """Show what each recipe adds and costs, on a made-up town; refuse one that is too common."""
    found: Sequence[marginal.Row | marginal.Block]
    if roll is not None:
        found, voters = _common(roll)
    else:
        town = training.sample(
            seed, voters=voters, members=members, dated=True, noise=ELSEWHERE, habits=LISTS[lists]
        )
        found = marginal.rows(town.members(), town.voters(), town.truth, score.load())
    if as_json:
        click.echo(json.dumps([row.to_json() for row in found]))
    else:
        click.echo("| recipe |" + "".join(f" {_HEADS[name]} |" for name in found[0].to_json()
                   if name != "recipe"))  # fmt: skip
        click.echo("| --- |" + " ---: |" * (len(found[0].to_json()) - 1))
        for row in found:
            click.echo("| " + " | ".join(_shown(*cell) for cell in row.to_json().items()) + " |")
    try:
        marginal.refuse_common(found, voters)
    except RecipeRefused as refused:
        raise click.ClickException(str(refused)) from refused


_HEADS = {"made": "made by", "alone": "alone on the roll", "biggest": "biggest block",
          "bits": "bits", "lost": "recall lost without", "wrong": "precision lost"}  # fmt: skip


def _shown(name: str, value: object) -> str:
    spelled = {"made": ".0%", "alone": ".1%", "biggest": ",", "bits": ".1f", "lost": "+.4f",
               "wrong": "+.4f"}.get(name, "")  # fmt: skip
    return f"{value:{spelled}}"


def _common(place: Path) -> tuple[list[marginal.Block], int]:
    try:
        roll = open_roll(place)
        return marginal.blocks((n, voter.record) for n, voter in enumerate(roll.voters()))
    except RollRefused as refused:
        raise click.ClickException(str(refused)) from refused


@command.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the weights here; without it they are compared only.")  # fmt: skip
@click.option("--seed", default=training.SEEDS[0], show_default=True)
@click.option("--voters", default=training.VOTERS, show_default=True)
@click.option("--members", default=training.MEMBERS, show_default=True)
@_json
def train(out: Path | None, seed: int, voters: int, members: int, as_json: bool) -> None:
    """Train the weights anew; with the default numbers, the shipped file bit for bit."""
    trained, figures = training.train_on_generated(seed=seed, voters=voters, members=members)
    made = trained.to_json().encode()
    same = made == _shipped().strip()
    if out is not None:
        out.write_bytes(made + b"\n")
    if as_json:
        click.echo(json.dumps({"same_as_shipped": same, "second_town": figures}))
        return
    verdict = "the same bytes as the shipped file" if same else "other bytes than the shipped file"
    click.echo(f"{verdict}; on the second town:")
    for name, found in figures.items():
        click.echo(f"  {name}: {json.dumps(found)}")


def _shipped() -> bytes:
    return resources.files("matching").joinpath("data/weights.json").read_bytes()


def _read(path: Path) -> score.Weights:
    try:
        return score.Weights.from_json(path.read_text("utf-8", "replace"))
    except WeightsRefused as refused:
        raise click.ClickException(str(refused)) from refused
