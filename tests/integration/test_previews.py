"""A letter is previewed as a made-up reader of one language and one place would get it."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from consortium.service import sign_in
from consortium.web.security import LETTER_POLICY
from mailer.written import signed
from tests.fakes.server import Server
from tests.integration.test_api_campaigns import DRAFT, drafted, furnished

__all__ = ["furnished"]
TWO_TONGUES: dict[str, Any] = {
    "subject": "Vote on Tuesday",
    "blocks": [
        {"kind": "text", "text": "Hi {{ first_name | friend }}, vote on Tuesday with us, please."},
        {"kind": "text", "text": "The gym on Elm Street.", "places": {"precinct": ["44-1"]}},
        {"kind": "text", "text": "Everybody else asks the clerk.", "places": "elsewhere"},
    ],
}


def entered(server: Server, who: str) -> str:
    """Sign in on the pages; the session's token for forms."""
    link = server.units.run("link", lambda unit: sign_in.make_link(unit, who, server.clock()))
    server.client.cookies.clear()
    gone = server.client.post(f"/sign-in/{link}", follow_redirects=False)
    assert gone.status_code == 303
    cookie = server.client.cookies["trellis"]
    return server.units.run("who", lambda u: sign_in.who(u, cookie, server.clock())).csrf


def test_each_place_is_shown_its_own_words_in_both_parts_and_no_other_place_any(
    furnished: Server,
) -> None:
    id = drafted(furnished, template=TWO_TONGUES)
    base = f"/campaigns/{id}/preview"
    for code, here, away in (("44-1", "Elm Street", "the clerk"), ("44-0", "the clerk", "Elm")):
        for part in ("html", "text"):
            query = f"?kind=precinct&place={code}&part={part}"
            answer = furnished.call("cora", "GET", base + query)
            assert answer.status_code == 200, answer.text
            assert here in answer.text
            assert away not in answer.text
            assert "Alex" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert furnished.call("cora", "GET", base).headers["content-security-policy"] == LETTER_POLICY
    for query in ("kind=zip&place=nowhere", "kind=person", "part=source"):
        refused = furnished.call("cora", "GET", f"{base}?{query}")
        assert (refused.status_code, "nowhere" in refused.text) == (422, False)


def test_nobody_but_its_author_previews_a_draft(furnished: Server) -> None:
    id = drafted(furnished)
    for who, status in (("cora", 200), ("union", 404), ("ann", 403), (None, 401)):
        assert furnished.call(who, "GET", f"/campaigns/{id}/preview").status_code == status
        # A place is never looked up for somebody who may not see the letter.
        path = f"/campaigns/{id}/preview?kind=zip&place=nowhere"
        assert furnished.call(who, "GET", path).status_code == (422 if who == "cora" else status)
    entered(furnished, "union")
    assert furnished.client.get(f"/campaigns/{id}/preview").status_code == 404


def test_a_partner_is_shown_all_of_a_letter_in_blocks_that_it_signs(furnished: Server) -> None:
    id = drafted(furnished, template=TWO_TONGUES)
    furnished.call("cora", "POST", f"/campaigns/{id}/submit")
    told = furnished.call("union", "GET", f"/campaigns/{id}").json()
    shown = hashlib.sha256(rfc8785.dumps(signed(told["template"]))).hexdigest()
    assert shown == told["manifest"]["template"]
    assert told["template"]["blocks"] == TWO_TONGUES["blocks"]


def test_the_page_shows_a_reader_s_place_in_its_frame_and_says_when_there_is_none(
    furnished: Server,
) -> None:
    id = drafted(furnished, template=TWO_TONGUES)
    entered(furnished, "cora")
    page = furnished.client.get(f"/campaigns/{id}").text
    assert f'action="/campaigns/{id}/preview" target="letter"' in page
    base = f"/campaigns/{id}/preview?kind=precinct&code="
    shown = furnished.client.get(base + "44-1")
    assert (shown.headers["content-security-policy"], "Elm" in shown.text) == (LETTER_POLICY, True)
    text = furnished.client.get(base + "44-1&part=text").text
    assert "Vote on Tuesday" in text
    assert "Elm Street" in text
    refused = furnished.client.get(base + "%3Cscript%3E")
    assert (refused.status_code, refused.headers["content-security-policy"]) == (422, LETTER_POLICY)
    assert "none spelled so" in refused.text
    assert "<script" not in refused.text
    assert DRAFT["template"]["subject"] in page
