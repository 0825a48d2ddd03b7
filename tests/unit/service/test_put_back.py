"""A database that was put back to an earlier day writes to nobody again."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from consortium.jobs.marks import FileMarks
from consortium.service.errors import NotReady
from consortium.store import claims
from tests.fakes.post import Post


def crowd(count: int, name: str = "m") -> list[tuple[int, str]]:
    return [(n, f"{name}{n}@example.net") for n in range(1, count + 1)]


def put_back(post: Post, yesterday: dict[str, list[dict[str, object]]]) -> None:
    """As if the operator had restored these tables."""
    with post.units.engine.begin() as open_:
        for table, rows in yesterday.items():
            open_.execute(text(f"DELETE FROM {table}"))
            for row in rows:
                names = ", ".join(f'"{name}"' for name in row)
                values = ", ".join(f":{name}" for name in row)
                open_.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def backup(post: Post) -> dict[str, list[dict[str, object]]]:
    with post.units.engine.connect() as open_:
        return {
            table: [dict(row) for row in open_.execute(text(f"SELECT * FROM {table}")).mappings()]
            for table in ("deliveries", "texts", "leases", "sent_days")
        }


@pytest.mark.parametrize("noticed", [True, False])
def test_letters_that_left_since_the_backup_do_not_leave_again(
    post: Post, tmp_path: Path, noticed: bool
) -> None:
    kept = tmp_path / "claims"
    post.office.marks = FileMarks(kept)
    id = post.campaign("c1", post.bundle("union", 1, crowd(9)))
    post.change(id, state="sending")
    saved = backup(post)
    post.change(id, state="logged")
    post.go(id)
    assert len(post.mta.to) == 9
    put_back(post, {**saved, "deliveries": []})
    post.change(id, state="logged")
    other = post.campaign("c2", post.bundle("union", 2, crowd(3, "n")))
    if not noticed:
        shutil.rmtree(kept)
    restarted = post.new_office("second", marks=FileMarks(kept))
    post.later(minutes=5)
    if noticed:
        for each in (id, other):  # and nobody knows who stopped since
            with pytest.raises(NotReady, match="put back"):
                post.go(each, restarted)
        assert len(post.mta.to) == 9
    else:  # the control: without the number everybody is written to again
        post.go(id, restarted)
        assert len(post.mta.to) == 18


def test_a_database_put_back_under_a_worker_is_noticed_at_the_next_claim(
    post: Post, tmp_path: Path
) -> None:
    post.office.marks = FileMarks(tmp_path / "claims")
    id = post.campaign("c1", post.bundle("union", 1, crowd(55)))
    seen: list[str] = []

    def restore(recipient: str) -> None:
        seen.append(recipient)
        if len(seen) == 7:
            post.office.marks.keep(claims.mark(id), 9)  # type: ignore[union-attr]

    post.mta.before.append(restore)
    with pytest.raises(NotReady, match="put back"):
        post.go(id)
    assert len(post.mta.to) == 50


def test_a_restart_a_crash_before_the_note_and_a_full_disk_cost_no_letter(
    post: Post, tmp_path: Path
) -> None:
    class Full(FileMarks):
        def keep(self, mark: str, turns: int) -> None:
            raise OSError("no space left")

    id = post.campaign("c1", post.bundle("union", 1, crowd(55)))
    post.office.marks = Full(tmp_path / "claims")
    with pytest.raises(OSError, match="no space"):
        post.go(id)
    assert not post.mta.to
    assert post.states(id) == {"pending": 55}
    for name in ("second", "third"):
        post.later(minutes=5)
        post.go(id, post.new_office(name, marks=FileMarks(tmp_path / "claims")))
    assert len(post.mta.to) == 55
    assert FileMarks(tmp_path / "claims").known()[claims.mark(id)] >= 2
