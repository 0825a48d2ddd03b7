"""A letter is written and changed on the real pages, over a real database, by its author alone."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape

import pytest

from consortium.service import draft
from consortium.service.errors import WrongState
from consortium.store import actors, campaigns
from consortium.store.actors import Actor
from consortium.store.unit import Unit
from mailer.findings import Finding
from policies.authorise import Caller
from policies.errors import Denied
from tests.fakes.actors import public
from tests.fakes.server import Server
from tests.integration.test_api_campaigns import DRAFT, drafted, furnished
from tests.integration.test_previews import TWO_TONGUES, entered
from tests.integration.test_proofreading import Scorer, submit
from tests.unit.web.test_writing_pages import fields

__all__ = ["furnished"]
NEW = "/campaigns/new"


class Meddler(Scorer):
    """A scorer of letters, during whose work the author changes the draft."""

    def __init__(self, change: Callable[[], None]) -> None:
        super().__init__()
        self.change = change

    def __call__(self, message: bytes) -> Finding:
        self.change()
        return super().__call__(message)


def test_a_letter_is_written_shown_saved_changed_and_found_where_it_is_wrong(
    furnished: Server,
) -> None:
    entered(furnished, "cora")
    places = ["precinct:44-1", "precinct:44-0"]
    page = furnished.client.get(NEW, params={"place": places}).text
    sent = fields(page) | {
        "subject": "Vote on Tuesday",
        "block.1.text": "Vote on Tuesday",
        "block.2.text": "Hi {{ first_name | friend }}, the gym on Elm Street.",
        "block.2.who": "places",
        "block.2.precinct": "44-1",
        "block.3.text": "Yours,",
        "signer": "Ann Lee\r\nToledo",
    }

    def post(path: str, form: dict[str, str], **more: str) -> tuple[int, str, str]:
        data = {**form, "place": places, **more}
        got = furnished.client.post(path, data=data, follow_redirects=False)
        return got.status_code, unescape(got.text), got.headers.get("location", "")

    # What is typed is shown as readers of each place would get it, and kept nowhere.
    for code, seen in (("44-1", True), ("44-0", False)):
        status, shown, _ = post(f"{NEW}/preview", sent, kind="precinct", code=code)
        assert (status, "Elm Street" in shown, "Vote on Tuesday" in shown) == (200, seen, True)
    assert "Paid for by (look at it):" in post(NEW, sent, do="check")[1]
    assert furnished.call("cora", "GET", "/campaigns").json() == []
    # A place that the voter file does not have is named by block and field.
    status, lost, _ = post(NEW, {**sent, "block.2.precinct": "44-1, 99-9"}, do="save")
    assert (status, "44-1, 99-9" in lost) == (422, True)
    assert '<a href="#block.2.who"><b>Block 2, places:</b>' in lost
    status, said, made = post(NEW, sent, do="save")
    assert status == 303, said
    again = fields(furnished.client.get(f"{made}/edit").text)
    assert again["block.2.precinct"] == "44-1"
    again["block.2.text"] = "Hi, the school on Oak Street."
    assert post(f"{made}/edit", again, do="save")[0] == 303
    status, late, _ = post(f"{made}/edit", again, do="save")
    assert (status, "changed elsewhere" in late) == (422, True)
    id = made.rpartition("/")[2]
    kept = furnished.units.run("get", lambda unit: campaigns.get(unit, id)).template
    assert kept["blocks"][1]["text"] == "Hi, the school on Oak Street."


def test_nobody_changes_somebody_else_s_draft_nor_words_that_were_looked_at(
    furnished: Server,
) -> None:
    carl = Actor("carl", "coordinator", "Carl", public("carl").hex())
    furnished.units.run("second", lambda unit: actors.add(unit, carl))
    id = drafted(furnished, template=TWO_TONGUES)
    cora = Caller("cora", "coordinator", None)

    def change(caller: Caller, subject: str = "Other words") -> None:
        def put(unit: Unit) -> None:
            draft.change(
                unit,
                caller,
                id,
                draft.Proposed(**{**DRAFT, "template": {**TWO_TONGUES, "subject": subject}}),
                was=draft.mark(campaigns.get(unit, id)),
                artefacts=furnished.artefacts,
                now=furnished.clock(),
            )

        furnished.units.run("change", put)

    for other in (Caller("carl", "coordinator", None), Caller("union", "partner", "union")):
        with pytest.raises(Denied):
            change(other)
    entered(furnished, "union")
    assert furnished.client.get(f"/campaigns/{id}/edit").status_code == 403
    # Words that change while others are looked at before submission are not submitted unseen.
    with pytest.raises(WrongState, match="changed meanwhile"):
        submit(furnished, id, Meddler(lambda: change(cora, "Unseen words")))
    change(cora, "Vote on Tuesday")
    submit(furnished, id, Scorer())
    with pytest.raises(WrongState, match="only a draft"):
        change(cora)
