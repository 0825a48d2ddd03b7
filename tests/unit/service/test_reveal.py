"""After the polls everybody may see which partners wrote about what and where; before, nobody."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consortium.service import reveal
from consortium.store import races
from policies import agreement
from provenance.evidence import check, read_file
from tests.fakes.actors import POLICY
from tests.fakes.post import Post, post
from tests.fakes.server import RACE
from tests.unit.service.test_trail import NONCE, Walked

__all__ = ["post"]


def opened(post: Post, **later: float) -> dict[str, Any]:
    terms = agreement.parse(post.server.agreement)
    now = terms.race.polls_close + timedelta(**later)
    return post.units.read("opened", lambda unit: reveal.opened(unit, post.server.backend, now=now))


def test_nothing_is_opened_before_the_polls_close_and_then_everything_but_rows_and_counts(
    post: Post,
) -> None:
    walked = Walked(post)
    before = opened(post, seconds=-1)
    assert (before["evidence"], before["browser_keys"]) == ([], [])
    file = opened(post)
    text = json.dumps(file)
    said = [check(one, POLICY, partial=True) for one in read_file(file).evidences]
    by_kind: dict[str, list[Any]] = {}
    for one in said:
        by_kind.setdefault(str(one.facts["kind"]), []).append(one)
    assert {kind: len(each) for kind, each in by_kind.items()} == {
        "sign": 2, "approve": 2, "attest": 2, "send": 1,
    }  # fmt: skip
    (sent,) = by_kind["send"]
    assert sent.facts["campaign"] == walked.id
    assert sent.facts["sources"] == ["parks", "union"]
    assert sent.facts["places"] == {"precinct": ["44-1204"]}
    assert sent.facts["subject"] == "A made-up subject"
    assert set(sent.closed) == {"nonce", "root"}
    for hidden in (NONCE, *(part.bundle for part in walked.parts), "example.net"):
        assert hidden not in text


def test_an_agreement_may_say_never(post: Post) -> None:
    Walked(post)
    terms = replace(agreement.parse(post.server.agreement), log_opens="never")
    assert agreement.parse(agreement.to_bytes(terms)).log_opens == "never"
    assert not reveal.is_open(terms, terms.race.polls_close + timedelta(days=9))
    assert reveal.is_open(replace(terms, log_opens="after_polls"), terms.race.polls_close)
    for wrong in ("polls", "", None):
        with pytest.raises(agreement.AgreementRefused, match="log_opens"):
            agreement.parse(agreement.to_bytes(replace(terms, log_opens=wrong)))


def test_whoever_asks_the_service_gets_what_is_opened_by_then(post: Post) -> None:
    Walked(post)
    client, terms = post.server.client, agreement.parse(post.server.agreement)
    assert client.get("/api/v1/log/opened").json()["evidence"] == []
    post.clock.now = terms.race.polls_close
    assert len(client.get("/api/v1/log/opened").json()["evidence"]) == 7
    assert post.units.read("race", lambda unit: races.get(unit, RACE)).id == RACE
