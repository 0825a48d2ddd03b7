"""Secrets at rest: one class for every kind of wrapping, then what is only one kind's."""

import ast
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from consortium.custodian.errors import HomeUnready, WrappingAway, WrappingRefused
from consortium.custodian.ledger import Key, Ledger
from consortium.custodian.wrapping import Asking, Shut, Wish, opened, protect, rewrap
from consortium.custodian.wrapping.passphrase import Cost, suggestion
from matching import group
from tests.fakes import softhsm
from tests.fakes.dealer import split
from tests.fakes.vault import Key as VaultKey
from tests.unit.custodian.conftest import Place

LABEL = b"share/5ca1ab1e/1"
Places = Callable[[str], Place]
PROGRAM = Path(__file__).parents[3] / "consortium"
BOOKS = ("Ledger", "Protection", "Keys")


class TestEveryKind:
    """What holds whichever kind was chosen."""

    def test_a_secret_comes_back_and_is_not_what_stands_on_the_disk(self, kind: Place) -> None:
        secret, home = os.urandom(32), kind.home()
        with closing(kind.open(home)) as first:
            wrapped = first.wrap(secret, LABEL)
            assert first.unwrap(wrapped, LABEL) == secret
        assert secret not in wrapped
        with closing(kind.open(home)) as later:
            assert later.unwrap(wrapped, LABEL) == secret

    def test_the_same_secret_twice_shows_no_equality(self, kind: Place) -> None:
        with closing(kind.open(kind.home())) as here:
            assert here.wrap(b"x" * 32, LABEL) != here.wrap(b"x" * 32, LABEL)

    @pytest.mark.parametrize("size", [0, 1, 32, 5000])
    def test_every_length_comes_back(self, kind: Place, size: int) -> None:
        secret = os.urandom(size)
        with closing(kind.open(kind.home())) as here:
            assert here.unwrap(here.wrap(secret, LABEL), LABEL) == secret

    def test_a_secret_moved_to_another_row_does_not_open(self, kind: Place) -> None:
        with closing(kind.open(kind.home())) as here:
            wrapped = here.wrap(b"x" * 32, LABEL)
            said = kind.refused(lambda: here.unwrap(wrapped, b"share/5ca1ab1e/2"))
        assert "another row" in said

    def test_a_secret_moved_to_another_home_does_not_open(self, kind: Place) -> None:
        ann, bea = kind.home("ann"), kind.home("bea")
        with closing(kind.open(ann)) as one, closing(kind.open(bea)) as other:
            wrapped = one.wrap(b"x" * 32, LABEL)
            kind.refused(lambda: other.unwrap(wrapped, LABEL))

    def test_a_home_that_took_another_name_does_not_open(self, kind: Place) -> None:
        home = kind.home("ann")
        kind.refused(lambda: kind.open(home, "bea"))
        kind.open(home, "ann").close()

    def test_no_changed_byte_opens(self, kind: Place) -> None:
        with closing(kind.open(kind.home())) as here:
            wrapped = here.wrap(b"x" * 32, LABEL)
            for at in (0, 1, len(wrapped) // 2, len(wrapped) - 2):
                bent = bytearray(wrapped)
                bent[at] ^= 1
                kind.refused(lambda bent=bytes(bent): here.unwrap(bent, LABEL))  # type: ignore[misc]
            for cut in (b"", wrapped[:-1], wrapped[:10]):
                kind.refused(lambda cut=cut: here.unwrap(cut, LABEL))  # type: ignore[misc]

    def test_wrong_words_are_refused_and_not_repeated(self, kind: Place) -> None:
        home = kind.home()
        kind.spoil()
        said = kind.refused(lambda: kind.open(home))
        assert not [word for word in kind.said.values() if word in said]

    def test_it_is_chosen_once(self, kind: Place) -> None:
        home = kind.home()
        path = home / "custodian.sqlite"
        said = kind.refused(lambda: protect(home, path, "ann", kind.wish, kind.ask))
        assert "rewrap" in said
        kind.open(home).close()

    def test_a_ledger_keeps_shares_and_polynomials_under_it(self, kind: Place) -> None:
        home = kind.home()
        path = home / "custodian.sqlite"
        statement, shares = split(group.reduce(os.urandom(64)), threshold=2, ids=("ann", "bea"))
        polynomial = {"coefficients": [os.urandom(32).hex()]}
        with closing(kind.open(home)) as here, closing(Ledger(path, here)) as ledger:
            ledger.add_key(Key(statement, {}, shares["ann"]))
            ledger.begin_ceremony("another", polynomial)
        blobs = b"".join(one.read_bytes() for one in home.glob("custodian.sqlite*"))
        assert shares["ann"] not in blobs
        assert polynomial["coefficients"][0].encode() not in blobs
        with closing(kind.open(home)) as here, closing(Ledger(path, here)) as ledger:
            held = ledger.key_of(statement.sid)
            assert held is not None
            assert held.share == shares["ann"]
            assert ledger.ceremony_secret("another") == polynomial

    def test_what_counts_and_lists_opens_nothing(self, kind: Place) -> None:
        home = kind.home()
        kind.asked.clear()
        with closing(Ledger(home / "custodian.sqlite", Shut())) as ledger:
            assert ledger.status()["keys"] == []
            kind.refused(lambda: ledger.begin_ceremony("s", {}))
        assert kind.asked == []


# -- changing it ----------------------------------------------------------------------------------


def filled(place: Place, home: Path) -> dict[str, bytes]:
    """A ledger with a share and a polynomial; how each stands on the disk."""
    statement, shares = split(group.reduce(os.urandom(64)), threshold=2, ids=("ann", "bea"))
    path = home / "custodian.sqlite"
    with closing(place.open(home)) as here, closing(Ledger(path, here)) as ledger:
        ledger.add_key(Key(statement, {}, shares["ann"]))
        # Long enough for pages of its own.
        ledger.begin_ceremony(
            "another", {"coefficients": [os.urandom(32).hex() for _ in range(99)]}
        )
    return {statement.sid: shares["ann"]}


def wrapped(home: Path) -> set[bytes]:
    with closing(Ledger(home / "custodian.sqlite", Shut())) as ledger:
        return ledger.secrets()


def on_disk(home: Path, wrapped: set[bytes]) -> int:
    blobs = [one.read_bytes() for one in home.glob("custodian.sqlite*")]
    return sum(any(one[5:60] in blob for blob in blobs) for one in wrapped)


def change(home: Path, old: Place, new: Place) -> str:
    path = home / "custodian.sqlite"
    return rewrap(home, path, home.name, new.wish, old.ask, new.ask)


def opens(place: Place, home: Path, shares: dict[str, bytes]) -> bool:
    """Whether everything in the ledger opens with what this place says."""
    try:
        with (
            closing(place.open(home)) as here,
            closing(Ledger(home / "custodian.sqlite", here)) as ledger,
        ):
            held = {sid: key.share for sid in shares if (key := ledger.key_of(sid))}
            now = ledger.protection()
            assert now is not None
            if now.kind != place.kind:
                return False
            return held == shares and ledger.ceremony_secret("another") is not None
    except WrappingRefused:
        return False


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("file", "passphrase"),
        ("passphrase", "passphrase"),
        ("file", "file"),
        ("passphrase", "pkcs11"),
        ("pkcs11", "vault"),
        ("vault", "file"),
    ],
)
def test_after_a_change_the_new_one_opens_and_no_byte_of_the_old_is_left(
    places: Places, old: str, new: str
) -> None:
    before, after = places(old), places(new)
    after.said = {
        name: f"{word} again" if new == old else word for name, word in after.said.items()
    }
    home = before.home()
    shares, stood = filled(before, home), wrapped(home)
    assert len(stood) == on_disk(home, stood) == 2  # so that the count below looks right
    assert change(home, before, after) == old
    assert opens(after, home, shares)
    assert on_disk(home, stood) == 0
    if new == "passphrase":
        assert not opens(before, home, shares)
    assert len(list(home.glob("wrapping-*.key"))) == (new == "file")


class PowerCut(BaseException):
    """The machine is gone at this instant."""


INSTANTS = {
    "before anything is written": "protection.Protection.rewrap",
    "in the middle of the transaction": "protection._row",
    "after the commit": "database.Database.empty_wal",
    "before the old key file goes": "wrapping.file.forget_others",
}


@pytest.mark.parametrize("instant", INSTANTS)
def test_a_power_cut_in_a_change_leaves_one_that_opens_everything(
    places: Places, instant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = places("file"), places("passphrase")
    home = before.home()
    shares, stood = filled(before, home), wrapped(home)

    def cut(*_: object) -> None:
        raise PowerCut

    target = "consortium.custodian." + INSTANTS[instant]
    # Opening empties the WAL as well; only the first time after the commit is meant.
    if instant == "after the commit":
        monkeypatch.setattr("consortium.custodian.protection.Protection.empty_wal", _later(cut))
    else:
        monkeypatch.setattr(target, cut)
    with pytest.raises(PowerCut):
        change(home, before, after)
    monkeypatch.undo()
    old_opens, new_opens = opens(before, home, shares), opens(after, home, shares)
    assert old_opens is not new_opens
    committed = instant in ("after the commit", "before the old key file goes")
    assert new_opens is committed
    if committed:
        assert on_disk(home, stood) == 0
        assert not list(home.glob("wrapping-*.key"))  # the next start removed it
    else:
        assert change(home, before, after) == "file"  # the same again goes through
        assert opens(after, home, shares)


def _later(cut: Callable[..., None]) -> Callable[..., None]:
    """Cuts when the change has been committed; opening the database empties its WAL too."""

    def empty(self: Ledger) -> None:
        kinds = self.rows("SELECT kind FROM wrapping")
        if kinds and kinds[0][0] == "passphrase":
            cut()

    return empty


def test_a_full_disk_at_the_last_step_is_said_and_the_same_again_finishes(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = places("file"), places("passphrase")
    home = before.home()
    shares, rows = filled(before, home), Ledger.rows

    def full(self: Ledger, query: str, *values: object) -> object:
        if query == "VACUUM":
            raise sqlite3.OperationalError("database or disk is full")
        return rows(self, query, *values)

    monkeypatch.setattr("consortium.custodian.protection.Protection.rows", full, raising=False)
    with pytest.raises(WrappingAway, match="make room"):
        change(home, before, after)
    monkeypatch.undo()
    assert opens(after, home, shares)
    assert change(home, after, after) == "passphrase"
    assert opens(after, home, shares)


def test_the_program_itself_opens_no_ledger_without_a_wrapping() -> None:
    """Without one a share would stand there as it is; that is for tests of other things."""
    calls = [
        (path.name, node)
        for path in sorted(PROGRAM.rglob("*.py"))
        if "witness" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in BOOKS
    ]
    assert {name for name, _ in calls} >= {"process.py", "custodian.py", "opening.py"}
    assert [name for name, call in calls if len(call.args) + len(call.keywords) < 2] == []


def test_nobody_changes_it_under_a_custodian_that_serves(places: Places) -> None:
    before, after = places("file"), places("passphrase")
    home = before.home()
    with closing(before.open(home)), closing(before.open(home)):  # serve, and a ceremony beside it
        assert "serve" in before.refused(lambda: change(home, before, after))
    change(home, before, after)


def test_a_wrong_old_passphrase_changes_nothing(places: Places) -> None:
    before, after = places("passphrase"), places("file")
    home = before.home()
    shares = filled(before, home)
    right, before.said = before.said, {"passphrase": "quite another one"}
    before.refused(lambda: change(home, before, after))
    before.said = right
    assert opens(before, home, shares)
    assert not list(home.glob("wrapping-*.key"))


def test_a_home_that_was_never_protected_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HomeUnready, match="init"):
        opened(tmp_path, tmp_path / "custodian.sqlite", "ann", Asking({}))


# -- a passphrase ---------------------------------------------------------------------------------


def test_the_default_cost_is_the_second_recommendation_of_rfc_9106() -> None:
    assert Cost() == Cost(iterations=3, lanes=4, memory=65_536)


def test_salt_and_cost_stand_beside_what_they_protect(places: Places) -> None:
    home = places("passphrase").home()
    (facts,) = sqlite3.connect(home / "custodian.sqlite").execute("SELECT facts FROM wrapping")
    assert '"iterations": 1' in facts[0]
    assert '"salt": "' in facts[0]


def test_a_short_passphrase_is_refused(places: Places) -> None:
    place = places("passphrase")
    place.said = {"passphrase": "elevenchars"}
    assert "12 letters" in place.refused(place.home)


def test_an_accent_typed_in_two_pieces_is_the_same_passphrase(places: Places) -> None:
    def said(words: str) -> Asking:
        return Asking({}, prompt=lambda name, new: words)

    place = places("passphrase")
    (home := place.folder / "ann").mkdir()
    path = home / "custodian.sqlite"
    protect(home, path, "ann", place.wish, said("caf\N{LATIN SMALL LETTER E WITH ACUTE} au lait"))
    opened(home, path, "ann", said("cafe\N{COMBINING ACUTE ACCENT} au lait")).close()


def test_a_suggested_passphrase_is_never_the_same() -> None:
    made = {suggestion() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one.replace("-", "")) == 25 for one in made)


# -- where a secret comes from --------------------------------------------------------------------


def test_a_file_comes_before_a_credential_and_both_before_a_person(tmp_path: Path) -> None:
    file, credentials = tmp_path / "file", tmp_path / "credentials"
    credentials.mkdir()
    for path, words in ((file, "from the file\n"), (credentials / "passphrase", "credential")):
        path.write_text(words)
        path.chmod(0o400)
    (credentials / "passphrase").chmod(0o440)  # what systemd's ACL for the unit's user looks like
    prompt = lambda name, new: "a person"  # noqa: E731
    assert Asking({"passphrase": file}, credentials, prompt)("passphrase") == b"from the file"
    assert Asking({}, credentials, prompt)("passphrase") == b"credential"
    assert Asking({}, tmp_path, prompt)("passphrase") == b"a person"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "file"
    file.write_text("stapled battery horse")
    file.chmod(0o600)
    assert Asking({"pin": file})("pin")
    file.chmod(mode)
    with pytest.raises(WrappingRefused, match="chmod 600"):
        Asking({"pin": file})("pin")


@pytest.mark.parametrize("raw", [b"", b"\n", b"\xff\xfe", b"x" * 5000])
def test_what_is_no_text_is_no_secret(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(raw)
    file.chmod(0o600)
    with pytest.raises(WrappingRefused, match="pin"):
        Asking({"pin": file})("pin")


def test_where_nobody_is_there_the_three_ways_are_named() -> None:
    with pytest.raises(WrappingRefused, match=r"terminal.*settings\.toml.*credential"):
        Asking({})("passphrase")


def test_a_person_is_asked_once() -> None:
    times = []
    ask = Asking({}, prompt=lambda name, new: times.append(name) or "stapled battery")  # type: ignore[func-returns-value]
    assert ask("passphrase") == ask("passphrase") == b"stapled battery"
    assert times == ["passphrase"]


# -- a key file -----------------------------------------------------------------------------------


def test_the_key_file_is_nobodys_else_and_not_in_the_database(places: Places) -> None:
    home = places("file").home()
    (path,) = home.glob("wrapping-*.key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() not in (home / "custodian.sqlite").read_bytes()


def test_a_key_file_that_is_gone_or_open_to_others_is_named(places: Places) -> None:
    place = places("file")
    home = place.home()
    (path,) = home.glob("wrapping-*.key")
    path.chmod(0o644)
    assert "chmod 600" in place.refused(lambda: place.open(home))
    path.unlink()
    assert f"{path.name} is gone" in place.refused(lambda: place.open(home))


# -- a token --------------------------------------------------------------------------------------


def test_the_key_cannot_leave_its_token(places: Places) -> None:
    place = places("pkcs11")
    place.home()
    from pkcs11 import Attribute, ObjectClass, exceptions, lib

    tokens = lib(place.more["module"]).get_tokens(token_label=softhsm.TOKEN)
    with closing(next(tokens).open(user_pin=softhsm.PIN)) as session:
        all_keys = session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY})
        keys = [key for key in all_keys if key.label.startswith("trellis-ann-")]
        assert keys
        for key in keys:
            assert (key[Attribute.SENSITIVE], key[Attribute.EXTRACTABLE]) == (True, False)
            assert (key[Attribute.NEVER_EXTRACTABLE], key[Attribute.ALWAYS_SENSITIVE]) == (
                True,
            ) * 2
            with pytest.raises(exceptions.AttributeSensitive):
                key[Attribute.VALUE]


def test_a_key_that_may_leave_its_token_is_refused(places: Places) -> None:
    place = places("pkcs11")
    from pkcs11 import Attribute, KeyType, MechanismFlag, lib

    token = next(lib(place.more["module"]).get_tokens(token_label=softhsm.TOKEN))
    label = f"loose-{os.urandom(4).hex()}"
    with closing(token.open(rw=True, user_pin=softhsm.PIN)) as session:
        session.generate_key(
            KeyType.AES,
            256,
            label=label,
            store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template={Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False},
        )
    place.more["key"] = label
    assert "may leave its token" in place.refused(place.home)


def test_a_token_that_is_not_there_is_away_and_not_wrong(places: Places) -> None:
    place = places("pkcs11")
    place.more["token"] = "no-such-token"
    with pytest.raises(WrappingAway, match="no-such-token"):
        place.home()


def test_a_library_that_does_not_load_is_named(places: Places, tmp_path: Path) -> None:
    place = places("pkcs11")
    place.more["module"] = str(tmp_path / "nothing.so")
    with pytest.raises(WrappingAway, match=r"nothing\.so"):
        place.home()


# -- a vault --------------------------------------------------------------------------------------


def vault(places: Places) -> tuple[Place, "Path"]:
    place = places("vault")
    return place, place.home()


def test_an_opened_share_outlives_the_vault_and_not_its_own_row(places: Places) -> None:
    place, home = vault(places)
    assert place.vault is not None
    with closing(place.open(home)) as here:
        held = here.wrap(b"x" * 32, LABEL)
        assert here.unwrap(held, LABEL) == b"x" * 32
        calls, place.vault.sealed = place.vault.calls, True
        assert here.unwrap(held, LABEL) == b"x" * 32
        assert place.vault.calls == calls
        place.vault.sealed = False
        place.refused(lambda: here.unwrap(held, b"share/other"))  # remembered with its label
        place.vault.sealed = True
        here.keep_only(set())  # the row is gone: an epoch was destroyed
        with pytest.raises(WrappingAway):
            here.unwrap(held, LABEL)


def test_a_vault_that_is_sealed_or_gone_is_away_and_one_that_denies_refuses(
    places: Places,
) -> None:
    place, home = vault(places)
    assert place.vault is not None
    place.vault.sealed = True
    with pytest.raises(WrappingAway, match="VaultDown"):
        place.open(home)
    place.vault.sealed, place.vault.token = False, "revoked"
    assert "denies" in place.refused(lambda: place.open(home))
    place.vault.token = place.said["vault-token"]
    place.open(home).close()


def test_after_a_rotation_old_secrets_open_and_a_change_moves_them_on(places: Places) -> None:
    place, home = vault(places)
    assert place.vault is not None
    shares = filled(place, home)
    (name,) = place.vault.keys
    place.vault.rotate(name)
    assert opens(place, home, shares)
    place.more["key"] = name
    change(home, place, place)
    assert all(one.startswith(b"vault:v2:") for one in wrapped(home))
    place.vault.keys[name].oldest = 2  # what was under version 1 opens nowhere any more
    assert opens(place, home, shares)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (VaultKey(exportable=True), "may leave"),
        (VaultKey(type="rsa-2048"), "not of the type"),
    ],
)
def test_a_key_of_the_wrong_kind_is_refused(places: Places, key: VaultKey, words: str) -> None:
    place = places("vault")
    assert place.vault is not None
    place.vault.keys["ours"], place.more["key"] = key, "ours"
    assert words in place.refused(place.home)


def test_a_vault_without_tls_is_on_this_machine_or_nowhere(places: Places) -> None:
    place = places("vault")
    place.more["url"] = "http://vault.example.org:8200"
    assert "https" in place.refused(place.home)


def test_a_key_that_is_gone_from_the_vault_is_not_made_again(places: Places) -> None:
    place, home = vault(places)
    assert place.vault is not None
    place.vault.keys.clear()
    assert "holds no key" in place.refused(lambda: place.open(home))
    assert place.vault.keys == {}


def test_a_kind_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrappingRefused, match="no kind"):
        protect(tmp_path, tmp_path / "custodian.sqlite", "ann", Wish("paper"), Asking({}))
