"""The coordinator's words become the API's calls, and its answers become words."""

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from consortium.cli import coordinator
from mailer import starting
from tests.unit.cli.conftest import Desk


def test_a_letter_from_place_to_draft_to_stop(seat: Callable[[str], Desk], tmp_path: Path) -> None:
    desk = seat("coordinator")
    assert desk.json("places", "--kind", "district")["district"][0]["code"] == "State House 44"
    counted = desk.json("count", "--district", "State House 44", "--age", "18-34")
    assert counted["asked"] == {"places": {"district": ["State House 44"]}, "age": ["18-34"]}
    words = ("--zip", "80202", "--votes", "new", "--primaries", "1-2", "--primaries", "3-4")
    assert desk.json("count", *words)["asked"] == {
        "places": {"zip": ["80202"]}, "votes": ["new"], "primaries": ["1-2", "3-4"]
    }  # fmt: skip
    asked = desk.run("messenger", "--name", "Ana", "--place", "Parker")
    assert "https://t.example/messenger/Ana\n" in asked.output
    near = desk.run("nearest", "--zip", "80134")
    assert (
        "Ana, Parker: nearest to 60 of 100 registered voters there, about 3 km away" in near.output
    )
    letter = tmp_path / "letter.mjml"
    letter.write_text("<mjml></mjml>")
    written = desk.json(
        "draft", "--district", "State House 44", "--template", letter, "--subject", "Hello",
        "--messenger", "Ana", "--messenger-place", "Parker",
        "--opens", "2026-10-05T15:00:00Z", "--closes", "2026-10-06T00:00:00Z",
    )  # fmt: skip
    assert written == {"id": "new", "state": "draft"}
    assert desk.run("draft", "--zip", "80134", "--template", letter, "--subject", "Hello",
                    "--messenger", "Ana", "--opens", "2026-10-05T15:00:00Z",
                    "--closes", "2026-10-06T00:00:00Z").exit_code == 2  # fmt: skip
    assert desk.world.campaigns["new"]["template"] == {"subject": "Hello", "mjml": "<mjml></mjml>"}
    other = tmp_path / "other.json"
    other.write_text('{"subject": "Hi", "share": 2}')
    assert desk.json(
        "draft", "--zip", "80134", "--template", letter, "--subject", "Hello", "--arm", other,
        "--share", "3", "--opens", "2026-10-05T15:00:00Z", "--closes", "2026-10-06T00:00:00Z",
    )  # fmt: skip
    assert desk.world.campaigns["new"]["template"] == {
        "subject": "Hello", "mjml": "<mjml></mjml>", "share": 3,
        "arms": [{"subject": "Hi", "share": 2}],
    }  # fmt: skip
    assert desk.json("submit", "new")["state"] == "submitted"
    shown = desk.run("watch", "new", "--once")
    assert "waiting for the partners to approve" in shown.output
    assert desk.json("stop", "new")["state"] == "stopped"
    ended = desk.run("watch", "new", "--until", "closed")
    assert ended.exit_code == 1
    assert "will not become closed" in ended.output


def test_a_definition_comes_from_a_file_or_from_options_never_both(
    seat: Callable[[str], Desk], tmp_path: Path
) -> None:
    desk = seat("coordinator")
    file = tmp_path / "definition.json"
    file.write_text(json.dumps({"places": {"zip": ["80134"]}}))
    assert desk.json("count", "--definition", file)["asked"] == {"places": {"zip": ["80134"]}}
    assert desk.run("count", "--definition", file, "--zip", "80134").exit_code == 2
    assert desk.run("count").exit_code == 2
    file.write_text("[]")
    assert desk.run("count", "--definition", file).exit_code == 1


def test_a_time_that_is_not_utc_is_wrong_usage(seat: Callable[[str], Desk], tmp_path: Path) -> None:
    letter = tmp_path / "letter.mjml"
    letter.write_text("<mjml></mjml>")
    done = seat("coordinator").run(
        "draft", "--zip", "80134", "--template", letter, "--subject", "s", "--messenger", "a",
        "--messenger-place", "b", "--opens", "tomorrow", "--closes", "2026-10-06T00:00:00Z",
    )  # fmt: skip
    assert done.exit_code == 2
    assert "--opens" in done.output


def test_a_refusal_of_the_server_is_its_own_words_and_exit_1(seat: Callable[[str], Desk]) -> None:
    done = seat("coordinator").run("watch", "gone", "--once")
    assert done.exit_code == 1
    assert "Not found (404): no campaign has this id" in done.output


def test_a_radius_becomes_a_definition_of_the_zips_that_can_be_chosen(
    seat: Callable[[str], Desk], tmp_path: Path
) -> None:
    desk, points, out = seat("coordinator"), tmp_path / "points.csv", tmp_path / "area.json"
    points.write_text("zip,lat,lon\n80134,39.48,-104.78\n80202,39.75,-105.0\n80203,39.74,-105.0\n")
    around = ("area", "--points", points, "--near", "39.75,-105.0", "--out", out)
    assert desk.json(*around, "--km", "5") == {"zip": ["80202"], "not_offered": ["80203"]}
    asked = desk.json("count", "--definition", out)["asked"]
    assert asked == {"places": {"zip": ["80202"]}}
    assert desk.json(*around, "--km", "50")["zip"] == ["80134", "80202"]
    drawn = tmp_path / "area.geojson"
    ring = [[-104.9, 39.4], [-104.7, 39.4], [-104.7, 39.6], [-104.9, 39.6], [-104.9, 39.4]]
    drawn.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    inside = desk.json("area", "--points", points, "--inside", drawn, "--out", out)
    assert inside["zip"] == ["80134"]
    assert desk.run(*around).exit_code == 2
    far = ("area", "--points", points, "--near", "0,0", "--km", "5", "--out", out)
    assert desk.run(*far).exit_code == 1


def test_with_shapes_an_area_is_precincts_by_a_point_inside_each_or_by_the_whole_shape(
    seat: Callable[[str], Desk], tmp_path: Path
) -> None:
    desk, raw, kept = seat("coordinator"), tmp_path / "raw.geojson", tmp_path / "shapes.json"
    out = tmp_path / "area.json"

    def square(number: int, west: float) -> dict[str, object]:
        ring = [[west, 39.7], [west + 0.01, 39.7], [west + 0.01, 39.71], [west, 39.71],
                [west, 39.7]]  # fmt: skip
        return {"type": "Feature", "properties": {"HOUSE": "63044", "PCT": f"1800{number}"},
                "geometry": {"type": "Polygon", "coordinates": [ring]}}  # fmt: skip

    squares = [square(n, -105 + n / 100) for n in range(1, 6)]
    raw.write_text(json.dumps({"type": "FeatureCollection", "features": squares}))
    words = ("shapes", raw, "--vintage", "2026", "--licence", "ours", "--out", kept)
    wrong = desk.run(*words, "--code", "{PCT}")
    assert wrong.exit_code == 1
    assert "in the list of places: there it says '6304418001', here '18001'" in wrong.output
    assert not kept.exists()
    taken = desk.json(*words, "--code", "{HOUSE}{PCT}")
    assert (taken["precincts"], taken["offered"], taken["with_shape"]) == (5, 2, 2)
    near = ("area", "--shapes", kept, "--near", "39.705,-104.985", "--out", out, "--km")
    said = desk.json(*near, "1")
    assert said == {"precinct": ["6304418001", "6304418002"], "not_offered": []}
    asked = desk.json("count", "--definition", out)["asked"]
    assert asked == {"places": {"precinct": said["precinct"]}}
    assert desk.json(*near, "5")["not_offered"] == [f"630441800{n}" for n in (3, 4, 5)]
    assert desk.json(*near, "0.75", "--whole")["precinct"] == ["6304418001"]
    assert desk.run(*near, "5", "--points", raw).exit_code == 2
    raw.write_text(json.dumps({"type": "FeatureCollection", "features": [*squares, square(6, 99)]}))
    squares[2]["geometry"] = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}
    raw.write_text(json.dumps({"type": "FeatureCollection", "features": squares}))
    broken = desk.run(*words, "--code", "{HOUSE}{PCT}")
    assert broken.exit_code == 1
    assert "raw.geojson, feature 3: a ring is not closed" in broken.output


def test_an_own_address_is_typed_and_never_an_argument(seat: Callable[[str], Desk]) -> None:
    desk, typed = seat("coordinator"), "cora@home.example"
    assert "named no address" in desk.run("test").output
    asked = desk.run("test", "--address", answers=f"{typed}\n")
    assert (asked.exit_code, desk.world.own) == (0, typed)
    assert "within three days" in asked.output
    assert "waits for your yes" in desk.run("test").output
    assert desk.run("test", "--address", typed, "--forget").exit_code == 2
    assert "[Test]" in desk.run("test", "c1").output
    assert desk.world.tested == ["c1"]
    assert desk.json("test", "--forget") == {"state": ""}
    assert desk.world.own == ""


def test_a_partner_names_a_seed_and_takes_it_back(seat: Callable[[str], Desk]) -> None:
    desk = seat("partner")
    assert desk.run("seed", "--address", answers="staff@union.example\n").exit_code == 0
    assert desk.world.own == "staff@union.example"
    assert "waits for your yes" in desk.run("seed").output
    assert desk.json("seed", "--forget") == {"state": ""}


def test_a_starter_is_written_changed_and_drafted_in_both_languages(
    seat: Callable[[str], Desk], tmp_path: Path
) -> None:
    desk, file = seat("coordinator"), tmp_path / "letter.json"
    listed = CliRunner().invoke(coordinator.command, ["starter", "--json"])
    assert json.loads(listed.stdout.splitlines()[-1]) == {"starters": list(starting.ORDER)}
    words = ["starter", "event", "--spanish", "--out", str(file)]
    assert CliRunner().invoke(coordinator.command, words).exit_code == 0
    letter = json.loads(file.read_text())
    spanish = {"es": starting.starter("event", "es")}
    assert letter == {**starting.starter("event"), "languages": spanish}
    letter["subject"] = "Coffee on Sunday"
    file.write_text(json.dumps(letter))
    window = ("--opens", "2026-10-05T15:00:00Z", "--closes", "2026-10-06T00:00:00Z")
    drafted = desk.json("draft", "--zip", "80134", "--template", file, *window)
    assert drafted == {"id": "new", "state": "draft"}
    assert desk.world.campaigns["new"]["template"] == letter
    for wrong in ("[]", "{", '"x"'):
        file.write_text(wrong)
        refused = desk.run("draft", "--zip", "80134", "--template", file, *window)
        assert (refused.exit_code, "letter.json" in refused.output) == (1, True)


def test_no_letter_is_written_for_a_name_that_no_starter_has(tmp_path: Path) -> None:
    file = tmp_path / "letter.json"
    CliRunner().invoke(coordinator.command, ["starter", "nothing", "--out", str(file)])
    assert not file.exists()
