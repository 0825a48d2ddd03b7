"""The operator's words about a frozen list: who decides, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from consortium.cli.operator import command
from consortium.cli.standing import Standing
from consortium.service import hear_back, thaw
from tests.fakes.post import Post
from tests.fakes.server import RACE


def decide(post: Post, by: str = "Cora Ruiz") -> Result:
    words = ["thaw", "--home", str(post.folder), "--partner", "union", "--by", by]
    return CliRunner().invoke(command, [*words, "--why", "a letter that annoyed"])


def test_a_list_is_let_go_on_by_a_command_with_a_name(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRELLIS_DATABASE", f"sqlite:///{post.folder}/trellis.sqlite")
    (post.folder / "signing.key").write_text("ab" * 32)
    early = decide(post)
    assert early.exit_code == 1
    assert "this partner's list is not frozen; nothing was changed" in early.output
    members = [(n, f"m{n}@example.net") for n in range(1, 9)]
    post.go(post.campaign("c1", post.bundle("union", 1, members)))
    for _, _, message in post.mta.taken[:6]:
        found = re.search(rb"/u/([\w-]{22})", message)
        assert found
        token = found[1].decode()
        post.units.run("stop", lambda unit, t=token: hear_back.stop(unit, t, "all", post.clock()))  # type: ignore[misc]

    def frozen() -> list[str]:
        return post.units.read("frozen", lambda unit: thaw.frozen(unit, RACE))

    assert frozen() == ["union"]
    assert decide(post, by=" ").exit_code == 1
    done = decide(post)
    assert done.exit_code == 0, done.output
    assert "Cora" not in done.output
    assert frozen() == []


def test_status_says_in_words_which_list_is_frozen() -> None:
    found = Standing(
        log_size=9,
        published=None,
        promised=0,
        quorum=1,
        witnesses={"w": True},
        custodians={"ann": True},
        threshold=1,
        campaigns={},
        frozen=["union"],
    )
    assert found.lines()[-1].startswith("the list of union is frozen: more than 2 in 100")
    assert not [line for line in replace(found, frozen=[]).lines() if "frozen" in line]
