"""Custodians release an audience's rows, and a batch of them is opened, each row by itself."""

import hashlib
from collections.abc import Sequence
from typing import Any

from consortium.custodians import Shown
from consortium.service import show
from consortium.service.claim import Opened, drop, left_out
from consortium.service.plan import FROZEN
from consortium.service.post_office import PostOffice, Run, SealedRow
from consortium.store import actors, campaigns, contributions, deliveries, frames, races
from consortium.store.deliveries import Delivery
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from mailer import stops
from mailer.errors import MailerError, UnsealRefused

KEPT = 5_000
"""Sealed rows that are read at once, and kept; each bundle is read once for so many letters."""


def open_rows(run: Run, batch: Sequence[Delivery]) -> list[Opened]:
    """Open the rows of a batch. A row that does not open is dropped alone."""
    points, rows = _points(run), _rows(run, batch)
    # Asked last before keys are derived: who is known to be left out by now is never opened.
    why = run.office.units.read("mail-before", lambda unit: left_out(run, unit, batch))
    opened = []
    for item in batch:
        lock = bytes.fromhex(item.lock)
        row, point = rows.get((item.bundle, item.row)), points.get(lock)
        if item.id in why:
            if why[item.id] != FROZEN:
                drop(run, item, why[item.id])
            continue
        if row is None or point is None:
            drop(run, item, "withdrawn")
            continue
        try:
            payload = run.office.open_row(row, point)
            key = stops.stop_key(run.office.keys.stop, payload.email).hex()
        except UnsealRefused:
            _ask_for_proofs(run, lock)
            drop(run, item, "its row does not open; it was sealed wrongly")
        except MailerError:
            drop(run, item, "its address is not one")
        except Exception as error:
            # Whatever is strange about one row must not hold up the others, nor be met for ever.
            drop(run, item, f"its row does not open ({type(error).__name__})")
        else:
            opened.append((item, payload, key))
    return opened


def _ask_for_proofs(run: Run, lock: bytes) -> None:
    """Find out whether a custodian lied: then its answers go, and nobody's letter is dropped."""
    try:
        run.office.custodians.find_liar(run.one.id, lock)
    except Exception:
        run.office.points.pop(run.one.id, None)
        raise


def _points(run: Run) -> dict[bytes, bytes]:
    """The custodians' points for the whole released set, kept in this process's memory only."""
    office, one = run.office, run.one
    assert one.manifest is not None
    assert one.nonce is not None
    assert one.audience_digest is not None
    agreement = office.units.read("mail-race", lambda unit: races.get(unit, one.race)).agreement
    # Exactly what custodians accepted: a database changed afterwards finds no points here.
    accepted = f"{one.digest} {one.root} {hashlib.sha256(agreement).hexdigest()}"
    known = office.points.get(one.id)
    if known is not None and known[0] == accepted:
        return known[1]
    with office.artefacts.open(one.audience_digest) as path:
        locks = [row.lock for row in frames.read_audience(path)]
    # Remembered before anybody is asked: what may be open anywhere is closed there in the end.
    office.units.run("mail-opening", lambda unit: deliveries.opening(unit, one.id))
    evidence = office.units.read("mail-evidence", lambda unit: _evidence(office, unit, one))
    shown = Shown(one.manifest, agreement, evidence, bytes.fromhex(one.nonce), locks)
    points = office.custodians.shared(shown)
    office.points[one.id] = (accepted, points)
    return points


def _evidence(office: PostOffice, unit: Unit, one: campaigns.Campaign) -> dict[str, Any]:
    def proofs(leaves: Sequence[str]) -> list[dict[str, Any]]:
        found = []
        for leaf in leaves:
            proof = show.evidence(unit, leaf, office.log_files)
            if proof is None:
                raise Missing("an approval is not in the public log yet")
            found.append(dict(proof.to_json()))
        return found

    said = campaigns.approvals(unit, one.id)
    assert one.intent_leaf is not None
    return {
        "agreement": proofs(sorted(races.signatures(unit, one.race).values())),
        "approvals": proofs([a.leaf for a in said if a.kind == "approve"]),
        "attestations": proofs([a.leaf for a in said if a.kind == "attest"]),
        "intent": proofs([one.intent_leaf])[0],
        "browser_keys": actors.browser_keys(unit),
    }


def _rows(run: Run, batch: Sequence[Delivery]) -> dict[tuple[str, int], SealedRow]:
    """The sealed rows of a batch and of the letters after it; a withdrawn bundle's are absent."""
    office = run.office
    kept = office.rows.setdefault(run.one.id, {})
    named = {item.bundle for item in batch} | {bundle for bundle, _ in kept}
    live = {
        one.id: one
        for one in office.units.read(
            "mail-bundles", lambda unit: [contributions.get(unit, id) for id in sorted(named)]
        )
        if one.wrapped is not None and office.artefacts.exists(one.rows_digest)
    }
    for place in [place for place, row in kept.items() if _stale(row, live.get(place[0]))]:
        del kept[place]
    if all((item.bundle, item.row) in kept for item in batch if item.bundle in live):
        return kept
    kept.clear()
    ahead = office.units.read(
        "mail-rows", lambda unit: deliveries.in_state(unit, run.one.id, ("pending",), KEPT)
    )
    wanted: dict[str, set[int]] = {}
    for item in [*batch, *ahead]:
        wanted.setdefault(item.bundle, set()).add(item.row)
    for bundle, numbers in wanted.items():
        one = live.get(bundle)
        if one is None or one.wrapped is None:
            continue
        with office.artefacts.open(one.rows_digest) as path:
            for row, tag, lock, sealed in frames.read_sealed(path, sorted(numbers)):
                kept[bundle, row] = SealedRow(
                    bundle,
                    tag,
                    lock,
                    sealed,
                    one.wrapped,
                    one.header,
                    under=one.wrapped_to,
                    file=one.rows_digest,
                )
    return kept


def _stale(row: SealedRow, now: contributions.Contribution | None) -> bool:
    """Whether a kept row's bundle is gone, has a successor, or is wrapped to another key now."""
    return now is None or (row.file, row.wrapped) != (now.rows_digest, now.wrapped)
