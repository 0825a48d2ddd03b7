"""Enrolling a voter file: what leaves names nobody, shared tokens are decoys, a re-run goes on."""

import csv
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from consortium.cli.home import Home
from consortium.cli.lists import OwnList
from matching.bundle import check_outputs, open_file, read_outputs
from matching.recipes import RECIPES
from matching.roll import co
from tests.fakes.actors import private
from tests.unit.cli.conftest import Desk

CANARY = "zqxcanary"


def lines_of(n: int, **known: str) -> str:
    """One voter's line in Colorado's layout."""
    twin = 0 if n < 2 else n
    cells = {
        "VOTER_ID": str(1000 + n),
        "PRECINCT": "6304418001" if n % 2 else "6304418002",
        "COUNTY": "DOUGLAS",
        "CONGRESSIONAL": "Congressional 4",
        "STATE_SENATE": "State Senate 4",
        "STATE_HOUSE": "State House 44",
        "STATUS": "Active",
        "FIRST_NAME": f"{CANARY}a{chr(97 + twin % 26)}",
        "LAST_NAME": f"{CANARY}b{chr(97 + twin // 26)}",
        "HOUSE_NUM": str(twin + 1),
        "STREET_NAME": CANARY,
        "RESIDENTIAL_ZIP_CODE": "80134",
        "BIRTH_YEAR": str(1950 + twin % 40),
        "PARTY": ("DEM", "REP", "UAF")[n % 3],
        **known,
    }
    return ",".join(cells.get(column, "") for column in co.MASTER.columns)


def write_roll(folder: Path, lines: list[str]) -> Path:
    """A folder with one voter file."""
    folder.mkdir(exist_ok=True)
    text = "\n".join([",".join(co.MASTER.columns), *lines])
    (folder / f"{co.MASTER.files[0]}_sample.txt").write_text(text + "\n")
    return folder


@pytest.fixture
def roll(tmp_path: Path) -> Path:
    """60 voters in Colorado's layout, two of one name and address, and two bad lines."""
    bad = [",".join("" for _ in co.MASTER.columns), "short,line"]
    return write_roll(tmp_path / "roll", [*(lines_of(n) for n in range(60)), *bad])


def second_steward(desk: Desk, folder: Path) -> Desk:
    """Another steward of the same race, with a key of its own."""
    folder.mkdir(mode=0o700)
    key = private("second")
    (folder / "signing.key").write_text(key.private_bytes_raw().hex())
    (folder / "signing.key").chmod(0o600)
    public = key.public_key().public_bytes_raw().hex()
    desk.world.actors.append({"id": "second", "role": "steward", "name": "2", "public": public})
    Home.create(folder, id="second", role="steward", name="2").join(desk.world.invite())
    return Desk(desk.world, "steward", folder)


def outputs_of(desk: Desk, id: str, folder: Path) -> dict[int, list[bytes]]:
    """What the pepper process finds in a slice's outputs part, by row id."""
    sealed, plain = folder / f"{id}.sealed", folder / f"{id}.plain"
    sealed.write_bytes(desk.world.parts[f"{id}/outputs"])
    open_file(sealed, plain, desk.world.pepper.private_bytes_raw(), id.encode())
    found: dict[int, list[bytes]] = {}
    for one in read_outputs(plain):
        found.setdefault(one.row, []).append(one.output)
    return found


def test_a_roll_leaves_as_coarse_attributes_and_tokens_that_no_two_voters_share(
    seat: Callable[[str], Desk], roll: Path, tmp_path: Path
) -> None:
    desk = seat("steward")
    result = desk.json("enrol", roll, "--yes")
    assert (result["voters"], result["quarantined"]) == (60, 2)
    world, made = desk.world, result["id"]
    attributes, outputs = tmp_path / "attributes.parquet", tmp_path / "outputs"
    attributes.write_bytes(world.parts[f"{made}/attributes"])
    outputs.write_bytes(world.parts[f"{made}/outputs"])
    open_file(outputs, tmp_path / "plain", world.pepper.private_bytes_raw(), made.encode())
    assert check_outputs(tmp_path / "plain", recipes=len(RECIPES), address=False, unique=True) == 60
    with duckdb.connect() as base:
        base.execute("SELECT * FROM read_parquet(?)", [str(attributes)])
        names = [column[0] for column in base.description or ()]
        rows = base.fetchall()
    assert names == [
        "row_id", "precinct", "congressional", "senate", "house", "local", "zip", "age_band",
        "votes", "primaries", "household",
    ]  # fmt: skip
    assert len(rows) == 60
    ids = Home(desk.home).vault.read(desk.home / "rolls" / made / "map.enc")
    assert sorted(ids.values(), key=int) == [str(1000 + n) for n in range(60)]
    assert {str(row[0]) for row in rows} == set(ids)
    assert CANARY.encode() not in b"\n".join(world.bodies)


def test_an_enrolment_cut_off_keeps_its_row_ids_and_the_same_files_are_enrolled_once(
    seat: Callable[[str], Desk], roll: Path
) -> None:
    desk = seat("steward")
    desk.world.down = {"c1", "c3"}
    cut = desk.run("enrol", roll, "--yes")
    assert cut.exit_code == 3
    assert CANARY not in cut.output
    (folder,) = (desk.home / "rolls").iterdir()
    kept = (folder / "attributes.parquet").read_bytes()
    desk.world.down = set()
    assert desk.json("enrol", roll, "--yes")["id"] == folder.name
    assert desk.world.parts[f"{folder.name}/attributes"] == kept
    asked = desk.world.evaluated
    assert desk.json("enrol", roll, "--yes")["id"] == folder.name
    assert desk.world.evaluated == asked


def test_a_folder_without_a_voter_file_is_refused(
    seat: Callable[[str], Desk], tmp_path: Path
) -> None:
    (tmp_path / "nothing").mkdir()
    done = seat("steward").run("enrol", tmp_path / "nothing", "--yes")
    assert done.exit_code == 1
    assert "EX-003" in done.output


@pytest.mark.parametrize("written", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_terms_of_use_that_are_none_are_refused_before_the_roll_is_read(
    written: bytes, seat: Callable[[str], Desk], roll: Path, tmp_path: Path
) -> None:
    (tmp_path / "terms.json").write_bytes(written)
    done = seat("steward").run("enrol", roll, "--use-terms", tmp_path / "terms.json", "--yes")
    assert isinstance(done.exception, SystemExit)
    assert (done.exit_code, "terms.json" in done.output) == (1, True)
    assert "voters" not in done.output


def test_a_part_that_was_not_read_is_named_before_anything_leaves(
    seat: Callable[[str], Desk], roll: Path
) -> None:
    (roll / "EX-003_Part2").write_text("a part under another name")
    (roll / "Part3").mkdir()
    shown = seat("steward").run("enrol", roll, "--yes")
    assert "Not read: EX-003_Part2, Part3/." in shown.output


def test_what_was_merged_is_said_and_kept_with_k_and_numbers_before_and_after(
    seat: Callable[[str], Desk], roll: Path
) -> None:
    desk = seat("steward")
    done = desk.run("enrol", roll, "--yes")
    assert "60 voters in" in done.output
    assert "k is 10" in done.output
    assert "age_band of" in done.output
    (folder,) = (desk.home / "rolls").iterdir()
    report = (folder / "report.txt").read_text()
    assert OwnList(folder).facts["rows_root"] in report
    header, *rows = list(csv.reader((folder / "coarsening.csv").read_text().splitlines()))
    assert header == ["precinct", "attribute", "voters", "before", "after", "rarest before"]
    assert rows
    assert all(int(row[4]) <= int(row[3]) and int(row[5]) < 10 for row in rows)
    assert CANARY not in report + str(rows)


def test_two_stewards_of_other_keys_have_one_root_in_the_log_and_a_moved_voter_another(
    seat: Callable[[str], Desk], roll: Path, tmp_path: Path
) -> None:
    desk = seat("steward")
    first = desk.json("enrol", roll, "--yes")
    other = second_steward(desk, tmp_path / "second")
    again = other.json("enrol", roll, "--yes")
    receipts = [one.home / "rolls" / made["id"] for one, made in ((desk, first), (other, again))]
    parts = [desk.world.parts[f"{made['id']}/attributes"] for made in (first, again)]
    assert parts[0] != parts[1]
    same = desk.json("compare", *receipts)
    assert same == {"same": True, "differ": [], "stewards": 2}
    assert first["rows_root"] == again["rows_root"]
    entry = desk.world.rolls[again["id"]]
    assert entry["header"]["rows_root"] == entry["openings"]["rows_root"]["value"]
    moved = write_roll(
        tmp_path / "moved", [lines_of(0, PRECINCT="6304418001"), *map(lines_of, range(1, 60))]
    )
    third = other.json("enrol", moved, "--yes")
    told = desk.run("compare", receipts[0], other.home / "rolls" / third["id"] / "receipt.json")
    assert told.exit_code == 1
    assert "root over the sorted rows" in told.output
    own = desk.run("compare", receipts[0], receipts[0])
    assert "one steward" in own.output


def test_a_next_snapshot_keeps_ids_and_decoys_and_says_who_came_and_went_without_names(
    seat: Callable[[str], Desk], roll: Path, tmp_path: Path
) -> None:
    desk = seat("steward")
    first = desk.json("enrol", roll, "--yes")["id"]
    later = write_roll(tmp_path / "later", [lines_of(n) for n in (*range(58), 70, 71, 72)])
    done = desk.run("enrol", later, "--yes")
    assert "58 voters stay, 3 are new" in done.output
    assert "2 are no longer in the file" in done.output
    assert CANARY not in done.output
    second = next(one.name for one in (desk.home / "rolls").iterdir() if one.name != first)
    before, after = outputs_of(desk, first, tmp_path), outputs_of(desk, second, tmp_path)
    assert len(before.keys() & after.keys()) == 58
    changed = [row for row in before.keys() & after.keys() if before[row] != after[row]]
    # Whose token another voter has now too, or has no more: nobody else's token or decoy moves.
    assert len(changed) < 10
    gone = before.keys() - after.keys()
    ids = Home(desk.home).vault.read(desk.home / "rolls" / first / "map.enc")
    assert sorted(ids[str(row)] for row in gone) == ["1058", "1059"]


def test_a_file_that_lost_a_part_is_not_enrolled_unless_somebody_says_so(
    seat: Callable[[str], Desk], roll: Path, tmp_path: Path
) -> None:
    desk = seat("steward")
    desk.json("enrol", roll, "--yes")
    cut = write_roll(tmp_path / "cut", [lines_of(n) for n in range(50)])
    refused = desk.run("enrol", cut, "--yes")
    assert refused.exit_code == 1
    assert "10 of 60 voters" in refused.output
    assert len(desk.world.rolls) == 1
    assert desk.json("enrol", cut, "--yes", "--accept-vanished")["voters"] == 50


def test_one_voter_off_the_official_total_stops_the_enrolment_and_is_named(
    seat: Callable[[str], Desk], roll: Path, tmp_path: Path
) -> None:
    desk, totals = seat("steward"), tmp_path / "totals.csv"
    totals.write_text("precinct,registered\n6304418001,30\n6304418002,31\n")
    refused = desk.run("enrol", roll, "--yes", "--totals", totals)
    assert refused.exit_code == 1
    assert "precinct 6304418002: 31 expected, 30 read (-1)" in refused.output
    assert "2 lines set aside" in refused.output
    assert desk.world.rolls == {}
    assert desk.json("enrol", roll, "--yes", "--totals", totals, "--accept-totals")["voters"] == 60
    totals.write_text("precinct,registered\n6304418001,30\n6304418002,30\n")
    good = desk.run("enrol", roll, "--yes", "--totals", totals)
    assert "Each of 2 precincts has the official number" in good.output


def test_of_other_parties_and_of_who_has_voted_nothing_is_told(
    seat: Callable[[str], Desk], roll: Path, tmp_path: Path
) -> None:
    desk, voted = seat("steward"), tmp_path / "voted.csv"
    voted.write_text("VOTER_ID\n" + "\n".join(str(1000 + n) for n in range(12)) + "\n")
    made = desk.json("enrol", roll, "--yes", "--party", "DEM", "--party", "UAF", "--voted", voted)
    assert (made["voters"], made["withheld"]) == (60, 20 + 8)
    part = tmp_path / "attributes.parquet"
    part.write_bytes(desk.world.parts[f"{made['id']}/attributes"])
    with duckdb.connect() as base:
        base.execute("SELECT row_id, precinct, house, local FROM read_parquet(?)", [str(part)])
        rows = {row: places for row, *places in base.fetchall()}
    ids = Home(desk.home).vault.read(desk.home / "rolls" / made["id"] / "map.enc")
    for row, places in rows.items():
        n = int(ids[str(row)]) - 1000
        told = n % 3 != 1 and n >= 12
        assert (places == ["", "", ""]) is not told
        assert not told or places[1:] == ["State House 44", "Douglas County"]
    # Their tokens stay: a member is tied to the right voter and to nobody else instead.
    assert len(outputs_of(desk, made["id"], tmp_path)) == 60
