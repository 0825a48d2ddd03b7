"""What a world says of its letters is what partners then sign; left out, there are defaults."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from consortium.cli.founding import agreement_of
from consortium.cli.world import make
from consortium.world import World, WorldRefused, load

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> Callable[[str], World]:
    """Read a small world with more lines at the end of its file."""
    make(tmp_path / "W", voters=500, members=[30, 30], seed=1, today=date(2026, 11, 21))
    whole = (tmp_path / "W" / "world.toml").read_text()

    def read(more: str) -> World:
        (tmp_path / "W" / "world.toml").write_text(whole + more)
        return load(tmp_path / "W")

    return read


def signed(world: World) -> dict[str, object]:
    ids = [(p.slug, "partner") for p in world.partners]
    ids += [(f"c{n}", "custodian") for n in (1, 2, 3)]
    who = [
        {"id": id, "role": role, "public": f"{n:02x}" * 32} for n, (id, role) in enumerate(ids, 1)
    ]
    document = agreement_of(world, who, NOW, quiet_hours=("00:00", "00:00"))
    found: dict[str, object] = json.loads(document)
    return found


def test_without_the_table_there_are_defaults(world: Callable[[str], World]) -> None:
    read = world("")
    assert read.letter.paid_for_by == f"the partners for {read.race.name}"
    found = signed(read)
    assert found["postal_address"] == read.letter.postal_address
    assert set(found["link_hosts"]) == {  # type: ignore[call-overload]
        "example.org",
        *(partner.domain for partner in read.partners),
    }


def test_what_it_says_is_what_partners_sign(world: Callable[[str], World]) -> None:
    read = world(
        '\n[letter]\npostal_address = "1 Main St, Alderton CO 80134"\npaid_for_by = "Us"\n'
        'link_hosts = ["vote.example", "mail.prairie-action.example"]\n'
    )
    found = signed(read)
    assert found["postal_address"] == "1 Main St, Alderton CO 80134"
    assert found["paid_for_by"] == "Us"
    hosts = found["link_hosts"]
    assert isinstance(hosts, list)
    assert sorted(set(hosts)) == sorted(hosts), "a partner's own domain is not named twice"
    assert "vote.example" in hosts
    assert "example.org" not in hosts


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('colour = "green"', "letter.colour"),
        ('paid_for_by = ""', "letter.paid_for_by"),
        ("postal_address = 1", "letter.postal_address"),
        ('link_hosts = ["https://example.org/x"]', "letter.link_hosts"),
        ('link_hosts = "example.org"', "letter.link_hosts"),
    ],
)
def test_what_is_wrong_in_it_is_refused_by_its_key(
    world: Callable[[str], World], line: str, key: str
) -> None:
    with pytest.raises(WorldRefused, match=re.escape(f"world.toml, {key}: ")):
        world(f"\n[letter]\n{line}\n")


def test_a_relation_ends_the_sentence_that_letters_say(world: Callable[[str], World]) -> None:
    read = world("")
    assert all(re.match(r"an? [a-z]+$", partner.relation) for partner in read.partners)
    assert len(asdict(read.partners[0])) == 5
