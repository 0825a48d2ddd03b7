"""A whole upload with custodians' real arithmetic: what leaves, what stays, what a re-run does."""

import base64
import errno
import json
import stat
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rfc8785

from consortium.cli.api import Api
from consortium.cli.home import Home
from consortium.cli.lists import TREE, own_list, own_lists
from consortium.cli.uploading import outputs_info, row_opening
from mailer import keys
from mailer.unseal import unseal, unwrap
from matching import locks
from matching.bundle import check_outputs, check_rows, open_file, read_rows
from matching.countersigning import Successor, countersign, named
from matching.recipes import RECIPES
from provenance.evidence import check, read_file
from provenance.merkle import tree_root
from tests.fakes.actors import made, private
from tests.fakes.api import EPOCH, NOW, FakeWorld
from tests.unit.cli.conftest import CANARY, Desk


def everything_sent(world: FakeWorld) -> bytes:
    return b"\n".join(world.bodies)


def test_a_whole_upload_leaves_rows_that_open_with_both_locks_and_nothing_readable(
    union: Desk, members: Path, tmp_path: Path
) -> None:
    result = union.json("upload", members, "--yes")
    world, made = union.world, result["id"]
    assert (result["rows"], result["refused"], result["repeated"]) == (150, 1, 1)
    rows, outputs = tmp_path / "rows.parquet", tmp_path / "outputs"
    rows.write_bytes(world.parts[f"{made}/rows"])
    outputs.write_bytes(world.parts[f"{made}/outputs"])
    assert check_rows(rows, rows=150) == 150
    open_file(
        outputs,
        tmp_path / "plain",
        world.pepper.private_bytes_raw(),
        outputs_info(made),
    )
    assert check_outputs(tmp_path / "plain", recipes=len(RECIPES), address=True) == 150

    body = world.contributions[made]["header"]
    bound = ("bundle", "partner", "epoch", "recipes", "mailer", "fields", "size_class", "created",
             "upload")  # fmt: skip
    header = rfc8785.dumps({name: body[name] for name in bound})
    dek = unwrap(
        base64.b64decode(body["wrapped"]),
        bytes.fromhex(body["commitment"]),
        header,
        world.mailer.private,
    )
    own = own_list(Home(union.home), made)
    kept = own.rows(Home(union.home))
    read = list(read_rows(rows))
    row, mine = read[7], kept[7]
    locks.check_entry(EPOCH, locks.RosterEntry(row.tag, row.lock, row.proof))
    answers = [
        locks.share_answers(world.seal_shares[c], i, (1, 3), row.lock)
        for c, i in (("c1", 1), ("c3", 3))
    ]
    payload = unseal(
        row.sealed,
        dek=dek,
        shared=locks.combine(answers),
        bundle=UUID(made).bytes,
        tag=row.tag,
        lock=row.lock,
    )
    assert payload.email == f"{CANARY}{mine.row - 2}@mail.example"
    tree = (own.folder / TREE).read_bytes()
    cells = [tree[at : at + 32] for at in range(0, len(tree), 32)]
    assert (len(cells), tree_root(cells).hex()) == (body["size_class"], body["root"])
    places = [
        cells.index(row_opening(r, k.secret).commitment()) for r, k in zip(read, kept, strict=True)
    ]
    assert len(set(places)) == len(read) < len(cells)
    assert places != sorted(places)
    assert [k.row for k in kept] != sorted(k.row for k in kept)


def test_no_cell_of_the_list_is_in_anything_that_was_sent_or_printed(
    union: Desk, members: Path
) -> None:
    done = union.run("upload", members, "--yes", "--all-rows")
    assert done.exit_code == 0
    assert CANARY not in done.output
    assert CANARY.encode() not in everything_sent(union.world)
    assert "row 153, email: is not one email address" in done.output
    assert "row 152 repeats row 2" in done.output


def test_what_leaves_is_said_in_the_words_we_can_keep(union: Desk, members: Path) -> None:
    shown = union.run("upload", members, "--yes").output
    assert (
        "scrambled codes, and first name and address, with the language, sealed so that opening "
        "one takes the mail machine and 2 of these 3: c1, c2, c3." in shown
    )
    assert "'shoe size'" in shown
    assert "anonymous" not in shown


def test_everything_on_the_partners_disk_is_its_own(union: Desk, members: Path) -> None:
    union.json("upload", members, "--yes")
    for path in union.home.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


def test_the_receipt_checks_offline(union: Desk, members: Path, tmp_path: Path) -> None:
    made = union.json("upload", members, "--yes")["id"]
    out = tmp_path / "receipt.json"
    assert union.json("receipt", made[:8], "--out", out)["id"] == made
    file = read_file(json.loads(out.read_bytes()))
    assert file.policy is not None
    checked = check(file.evidences[0], file.policy)
    assert (checked.kind, checked.facts["bundle"]) == ("contribution", made)


def test_the_same_file_again_is_no_second_upload(union: Desk, members: Path) -> None:
    first = union.json("upload", members, "--yes")
    asked, calls = union.world.evaluated, len(union.world.contributions)
    again = union.json("upload", members, "--yes")
    assert again["id"] == first["id"]
    assert (union.world.evaluated, len(union.world.contributions)) == (asked, calls)


def test_an_upload_cut_off_at_the_custodians_goes_on_as_the_same_one(
    union: Desk, members: Path
) -> None:
    union.world.down = {"c1", "c2"}
    cut = union.run("upload", members, "--yes")
    assert cut.exit_code == 3
    assert "2 custodians are needed" in cut.output
    (begun,) = own_lists(Home(union.home))
    rows = (begun.folder / "rows.parquet").read_bytes()
    union.world.down = set()
    assert union.json("upload", members, "--yes")["id"] == begun.id
    assert union.world.parts[f"{begun.id}/rows"] == rows
    assert len(list(own_lists(Home(union.home)))) == 1


def test_an_upload_cut_off_before_publication_sends_the_same_bytes_again(
    union: Desk, members: Path
) -> None:
    union.world.published = False
    cut = union.run("upload", members, "--yes", "--wait", "3")
    assert cut.exit_code == 3
    assert "promised but not yet published" in cut.output
    asked, size = union.world.evaluated, len(union.world.log)
    union.world.published = True
    again = union.json("upload", members, "--yes")
    # The fake answers 409 to other bytes under the same id.
    assert list(union.world.contributions) == [again["id"]]
    assert (union.world.evaluated, len(union.world.log)) == (asked, size)


def test_a_server_that_is_down_loses_nothing_and_is_told_apart(union: Desk, members: Path) -> None:
    union.world.down = {"server"}
    cut = union.run("upload", members, "--yes")
    assert cut.exit_code == 3
    assert "does not answer" in cut.output
    assert union.world.parts == {}


def test_a_dry_run_sends_no_byte_of_the_list_and_names_the_bytes_that_would_leave(
    union: Desk, members: Path
) -> None:
    before = len(union.world.calls)
    shown = union.json("upload", members, "--dry-run")
    assert [call for call in union.world.calls[before:] if not call.startswith("GET")] == []
    digest = shown["parts"][0][2]
    real = union.json("upload", members, "--yes")
    assert union.world.contributions[real["id"]]["header"]["rows_digest"] == digest


def test_how_full_a_list_is_is_said_here_and_to_nobody_else(union: Desk, tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    rows = [f"Ann,Lee,a{n}@b.example,{'80202' if n % 4 else ''},subscribed" for n in range(120)]
    path.write_text("\n".join(["first_name,last_name,email,zip,status", *rows, "Bo,Ray,none,,x"]))
    shown = union.run("upload", path, "--dry-run")
    assert "Of them have: first name 100%, last name 100%, middle name 0%, phone 0%" in shown.output
    assert "ZIP 75%." in shown.output
    said = "30 (25%) can be met by fewer than 2 kinds of code and are seldom found; a"
    assert said in " ".join(shown.output.split())
    done = union.json("upload", path, "--yes")
    quality = done["quality"]
    assert (quality["rows"], quality["refused"], quality["members"]) == (121, 1, 120)
    assert (quality["with"]["ZIP"], quality["few"]) == (90, 30)
    assert quality["recipes"]["both names in either order, ZIP"] == 90
    header = union.world.contributions[done["id"]]["header"]
    assert not {"quality", "with", "few"} & set(header)
    assert b"quality" not in everything_sent(union.world)


def test_a_list_below_the_agreed_minimum_stays(union: Desk, tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("email,status\n" + "".join(f"a{n}@b.example,subscribed\n" for n in range(99)))
    refused = union.run("upload", short, "--yes")
    assert refused.exit_code == 1
    assert "at least 100" in refused.output
    assert union.world.parts == {}


def test_without_a_status_nobody_is_mailable_until_the_partner_vouches(
    union: Desk, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.csv"
    bare.write_text("email\n" + "".join(f"a{n}@b.example\n" for n in range(120)))
    refused = union.run("upload", bare, "--yes")
    assert refused.exit_code == 1
    assert "--attest-consent" in refused.output
    assert union.json("upload", bare, "--yes", "--attest-consent", "joined on paper")["rows"] == 120


def test_columns_are_refused_before_rows(union: Desk, tmp_path: Path) -> None:
    for name, content, words in (
        ("book.csv", b"PK\x03\x04rest", "workbook"),
        ("none.csv", b"name,town\nAna,Parker\n", "none of the 2 columns is called 'email'"),
        ("empty.csv", b"", "empty"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        refused = union.run("upload", path, "--yes")
        assert refused.exit_code == 1
        assert words in refused.output
        assert "Parker" not in refused.output


def test_nobody_answering_is_not_a_yes(union: Desk, members: Path) -> None:
    assert union.run("upload", members, answers="n\n").exit_code == 1
    assert union.world.parts == {}
    assert union.world.evaluated == 0


def test_a_key_that_another_actor_logged_is_not_sealed_to(union: Desk, members: Path) -> None:
    union.world.keys["mailer"] = union.world.keys["pepper"]
    refused = union.run("upload", members, "--yes")
    assert refused.exit_code == 1
    assert "mailer key" in refused.output
    assert union.world.parts == {}


def test_a_later_key_of_the_mail_machine_is_sealed_to_only_as_custodians_countersigned_it(
    union: Desk, members: Path
) -> None:
    world = union.world
    first = json.loads((union.home / "invite.json").read_text())
    first["mailer_key"] = named(world.mailer.public)
    (union.home / "invite.json").write_text(json.dumps(first))
    line = Api(Home(union.home), transport=world.transport(), clock=lambda: NOW)
    assert line.key_statements().mailer == world.mailer.public  # the first, named by the invite
    own = keys.generate().public
    later = Successor(own, first["mailer_key"], "2026-11-20T00:00:00Z")

    def log(public: bytes, **more: Any) -> None:
        facts = {"kind": "mailer", "epoch": EPOCH, "expires": later.expires, **more}
        entry = made("mailer", "key", NOW, public=public.hex(), **facts)
        world.keys["mailer"] = world.put(entry)

    said = {id: countersign(later, private(id).sign) for id in ("c1", "c3")}
    for more in ({}, {"predecessor": later.predecessor, "countersignatures": {"c1": said["c1"]}}):
        log(own, **more)
        refused = union.run("upload", members, "--yes")
        assert refused.exit_code == 1
        assert "countersigned" in refused.output
        assert world.parts == {}
    log(own, predecessor=later.predecessor, countersignatures=said)
    assert line.key_statements().mailer == own


def test_an_invite_that_names_no_first_key_is_believed_in_nothing(
    union: Desk, members: Path
) -> None:
    """The control: with the key named, the same home uploads."""
    path = union.home / "invite.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in whole.items() if k != "mailer_key"}))
    refused = union.run("upload", members, "--yes")
    assert refused.exit_code == 1
    assert "does not name the mail machine's first key" in refused.output
    assert union.world.parts == {}
    file = union.home.parent / "again.json"
    file.write_text(json.dumps(whole))
    assert union.run("join", "--invite", file).exit_code == 0
    assert union.run("upload", members, "--yes").exit_code == 0


def test_the_key_that_an_older_home_met_first_is_held_against_the_one_that_is_named(
    union: Desk,
) -> None:
    path = union.home / "invite.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in whole.items() if k != "mailer_key"}))
    (union.home / "mailer-key.pin").write_text("ab" * 32)
    file = union.home.parent / "again.json"
    file.write_text(json.dumps(whole))
    refused = union.run("join", "--invite", file)
    assert refused.exit_code == 1
    assert "first key is another one" in refused.output
    assert json.loads(path.read_text()).get("mailer_key") is None


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    union: Desk, members: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _rows: object) -> None:
        path.write_bytes(b"PAR1half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as small:
        small.setattr("consortium.cli.uploading.write_rows", full)
        cut = union.run("upload", members, "--yes")
    assert cut.exit_code == 1
    assert "No space left on device" in cut.output
    left = [path.name for path in union.home.rglob("*") if ".part" in path.name]
    assert left == []
    assert union.world.parts == {}
    assert union.json("upload", members, "--yes")["rows"] == 150
