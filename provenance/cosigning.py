"""A log's note with the cosignatures that witnesses gave for it."""

import contextlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from provenance.errors import NoteRefused, SignatureRefused
from provenance.note import Note, SignatureLine, parse_line, parse_note
from provenance.quorum import Policy
from provenance.witness import check_cosignature

MAX_AHEAD = timedelta(minutes=10)


def with_cosignatures(
    note: bytes, public: bytes | None, answers: Iterable[bytes], policy: Policy, now: datetime
) -> tuple[bytes, set[bytes]]:
    """The note with every good cosignature: newly given, or published before for the same text;
    and the public keys of those who gave them, each signature checked here.

    Args:
        note: the log's own, signed.
        public: the published one, if any.
        answers: lines as witnesses sent them; what is none is left out.
        now: aware; a time of more than ``MAX_AHEAD`` after it is not believed.
    """
    own = parse_note(note)
    lines: dict[tuple[str, bytes], SignatureLine] = {}
    if public is not None:
        old = parse_note(public)
        if old.text == own.text:  # a refresh keeps what a witness that is away said before
            lines = {(one.name, one.key_id): one for one in old.signatures}
    for one in answers:
        with contextlib.suppress(NoteRefused, UnicodeDecodeError):
            line = parse_line(one.decode("utf-8").removesuffix("\n"))
            lines[(line.name, line.key_id)] = line
    latest = int((now + MAX_AHEAD).timestamp())
    kept, keys = [], set()
    for witness in policy.verifiers:
        given = lines.get((witness.name, witness.key_id))
        if given is None:
            continue
        # A bad one would spoil the note for every reader.
        with contextlib.suppress(SignatureRefused):
            if check_cosignature(own.text, given, witness).at <= latest:
                kept.append(given)
                keys.add(witness.public)
    return Note(own.text, (*own.signatures, *kept)).to_bytes(), keys
