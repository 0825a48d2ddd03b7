"""An actor's own folder: signing key, identity, invite, and a private place for state."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.cli.differences import differences
from consortium.cli.errors import HomeRefused
from consortium.cli.vault import Vault, derived, private_folder, write_whole
from matching.evaluation import MOST_CLASS

SLUG = re.compile(r"[a-z0-9-]{1,40}")
HEX_KEY = re.compile(r"[0-9a-f]{64}")
ROLES = (
    "partner",
    "steward",
    "coordinator",
    "custodian",
    "witness",
    "operator",
    "mailer",
    "auditor",
)

Json = dict[str, Any]


@dataclass(frozen=True)
class Home:
    """One folder, one actor. Reading it opens nothing but the files it holds.

    Args:
        path: the folder; made by :meth:`create`, mode 0700.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, *, id: str, role: str, name: str, **more: Any) -> "Home":
        """Make a home with a fresh signing key; the same again changes nothing.

        Raises:
            HomeRefused: a bad id or role, or the folder is somebody else's home already.
        """
        if not SLUG.fullmatch(id):
            raise HomeRefused("an id has 1 to 40 of the letters a-z, the digits 0-9 and -")
        if role not in ROLES:
            raise HomeRefused(f"a role is one of {', '.join(ROLES)}")
        home = cls(path)
        if (path / "identity.json").exists():
            if (home.id, home.role) != (id, role):
                raise HomeRefused(f"this folder is already the home of {home.id} ({home.role})")
            return home
        private_folder(path / "state")
        if not (path / "signing.key").exists():
            write_whole(path / "signing.key", (secrets.token_hex(32) + "\n").encode())
        identity = {"id": id, "role": role, "name": name, "public": home.public.hex(), **more}
        home.write_json("identity.json", identity)
        return home

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep a JSON file in the home, whole or not at all."""
        write_whole(self.path / name, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())

    def read_json(self, name: str) -> Json:
        """Read a JSON file of the home; raises HomeRefused."""
        try:
            value = json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            raise HomeRefused(
                f"{self.path} has no {name}: {_MISSING.get(name, 'make it first')}"
            ) from None
        except ValueError:
            raise HomeRefused(f"{name} is not JSON; take a fresh copy") from None
        if not isinstance(value, dict):
            raise HomeRefused(f"{name} does not hold an object; take a fresh copy")
        return value

    @cached_property
    def identity(self) -> Json:
        """Who this is: id, role, name, public key."""
        return self.read_json("identity.json")

    @property
    def id(self) -> str:
        """The actor's id, a slug."""
        return str(self.identity["id"])

    @property
    def role(self) -> str:
        """Which kind of actor this is."""
        return str(self.identity["role"])

    @cached_property
    def invite(self) -> Json:
        """The public description of the installation, as joined."""
        return checked_invite(self.read_json("invite.json"))

    @property
    def epochs(self) -> tuple[str, ...]:
        """The epochs that the invite names: the present one, and during an overlap the next."""
        return tuple(self.invite[name] for name in ("epoch", "next_epoch") if name in self.invite)

    def at(self, epoch: str) -> "Home":
        """This home as if the invite named one epoch alone: one upload is to one epoch."""
        here = Home(self.path)
        invite = {name: value for name, value in self.invite.items() if name != "next_epoch"}
        here.__dict__["invite"] = {**invite, "epoch": epoch}
        return here

    @cached_property
    def _seed(self) -> bytes:
        path = self.path / "signing.key"
        try:
            written = path.read_text().strip()
        except FileNotFoundError:
            raise HomeRefused(
                f"{self.path} has no signing.key: {_MISSING['signing.key']}"
            ) from None
        if not HEX_KEY.fullmatch(written):
            raise HomeRefused("signing.key does not hold 64 hex characters")
        if path.stat().st_mode & 0o077:
            raise HomeRefused("signing.key can be read by others: chmod 600 it")
        return bytes.fromhex(written)

    @cached_property
    def key(self) -> Ed25519PrivateKey:
        """The actor's signing key."""
        return Ed25519PrivateKey.from_private_bytes(self._seed)

    @cached_property
    def public(self) -> bytes:
        """The 32 public bytes of the signing key."""
        return self.key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign with the actor's key; 64 bytes."""
        return self.key.sign(message)

    @cached_property
    def vault(self) -> Vault:
        """Encrypted files of this home."""
        return Vault(self._seed)

    def secret(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose, always the same for this home."""
        return derived(self._seed, purpose)

    @property
    def state(self) -> Path:
        """Where unfinished work is kept, mode 0700."""
        return private_folder(self.path / "state")

    def join(self, invite: Json, *, accept_changes: bool = False) -> tuple[str, ...]:
        """Keep the invite, after checking its shape and that it names this actor with this key.

        Args:
            accept_changes: take it even when it changes a key that is believed here, leaves
                somebody out, or lets fewer agree. Another log is never taken.

        Returns:
            What it changes of the invite joined before, in words.

        Raises:
            HomeRefused: the shape is wrong, this actor is missing, another log was joined, or
                there are changes that nobody accepted; the invite joined before stays.
        """
        checked = checked_invite(invite)
        mine = [actor for actor in checked["actors"] if actor["id"] == self.id]
        if not mine:
            raise HomeRefused(f"the invite does not name {self.id}: ask the operator to add it")
        if mine[0]["public"] != self.public.hex() or mine[0]["role"] != self.role:
            raise HomeRefused(
                f"the invite names {self.id} with another key or role: send the operator "
                "your identity.json and ask for a new invite"
            )
        changed: tuple[str, ...] = ()
        if (self.path / "invite.json").exists():
            known = self.read_json("invite.json")
            if known.get("log_vkey") != checked["log_vkey"]:
                # A second log would be a second truth; changing it is never a detail.
                raise HomeRefused("this home has joined another log already")
            found = differences(checked_invite(self._completed(known, checked)), checked)
            if found.grave and not accept_changes:
                raise HomeRefused(_UNASKED.format("\n  ".join(found.grave)))
            changed = (*found.grave, *found.shown)
        self.write_json("invite.json", checked)
        self.__dict__.pop("invite", None)
        return changed

    def _completed(self, known: Json, now: Json) -> Json:
        """An invite of an earlier version as if it had named the mail machine's first key.

        The key that this home met first, if it has met any, was kept; nothing is known against
        the one that is named now otherwise, and the others' copies are what to compare it with.
        """
        pin = self.path / "mailer-key.pin"
        first = pin.read_text() if pin.exists() else now["mailer_key"]
        return {"mailer_key": first, **known}

    def actor(self, *, role: str, id: str | None = None) -> Json:
        """Return the invite's only actor of a role, or the one with this id.

        Raises:
            HomeRefused: none, or several where one was expected.
        """
        found = [
            actor
            for actor in self.invite["actors"]
            if actor["role"] == role and (id is None or actor["id"] == id)
        ]
        if len(found) != 1:
            raise HomeRefused(f"the invite names {len(found)} actors as {id or role}, not one")
        return cast(Json, found[0])


_UNASKED = (
    "this invite changes what this home believes; nothing was changed here:\n  {}\n"
    "Ask the others by phone, not by way of the operator. If all of you agreed on exactly this, "
    "the same command with --accept-changes takes it."
)

_MISSING = {
    "identity.json": "run init first",
    "signing.key": "run init first",
    "invite.json": "run join with the operator's invite first",
}

_TEXTS = ("api", "origin", "log_url", "log_vkey", "epoch", "race")
_LISTS: dict[str, tuple[str, ...]] = {
    "witnesses": ("name", "vkey", "url"),
    "custodians": ("id", "url", "public"),
    "former": ("id", "url", "public"),
    "actors": ("id", "role", "name", "public"),
}


def read_invite(path: Path) -> Json:
    """Read an invite file; raises HomeRefused."""
    try:
        read = json.loads(path.read_bytes())
    except ValueError:
        raise HomeRefused("the invite is not JSON; ask the operator for a fresh copy") from None
    if not isinstance(read, dict):
        raise HomeRefused("the invite does not hold an object; ask the operator for a fresh copy")
    return read


def checked_invite(invite: Json) -> Json:
    """Check an invite's shape and its plain arithmetic; raises HomeRefused.

    An invite is trusted because of how it arrived (by hand, from the operator, compared with
    the other partners' copies): it names every key that is believed later.
    """
    for key in _TEXTS:
        if not isinstance(invite.get(key), str) or not invite[key]:
            raise HomeRefused(f"the invite's {key!r} is missing or not a text")
    first = invite.get("mailer_key")
    if not isinstance(first, str) or not HEX_KEY.fullmatch(first):
        # Without it any key that the server shows would be as good as the mail machine's own.
        raise HomeRefused(
            "the invite does not name the mail machine's first key ('mailer_key', 64 hex "
            "characters); ask the operator for an invite of this version and join again"
        )
    if "next_epoch" in invite:
        following = invite["next_epoch"]
        if not isinstance(following, str) or following in ("", invite["epoch"]):
            raise HomeRefused("the invite's 'next_epoch' is not another epoch's name")
    for key, wanted in _LISTS.items():
        entries = invite.get(key)
        if key == "former" and not entries:
            continue  # nobody has left
        if not isinstance(entries, list) or not entries:
            raise HomeRefused(f"the invite's {key!r} is missing or empty")
        for number, entry in enumerate(entries, 1):
            if not isinstance(entry, dict) or not all(
                isinstance(entry.get(w), str) for w in wanted
            ):
                raise HomeRefused(
                    f"the invite's {key!r}, number {number}: needs {', '.join(wanted)}"
                )
            if "public" in wanted and not HEX_KEY.fullmatch(entry["public"]):
                raise HomeRefused(
                    f"the invite's {key!r}, number {number}: a key has 64 hex characters"
                )
            if not 1 <= _rows_stated(entry) <= MOST_CLASS:
                raise HomeRefused(f"the invite's {key!r}, number {number}: no size class")
        # One witness or custodian under two names would count twice.
        for part in (
            wanted[0],
            *({"witnesses": ("vkey",), "custodians": ("public",)}.get(key, ())),
        ):
            if len({entry[part] for entry in entries}) != len(entries):
                raise HomeRefused(f"the invite's {key!r} names one {part} twice")
    if {one["id"] for one in invite.get("former") or ()} & {c["id"] for c in invite["custodians"]}:
        raise HomeRefused("the invite names one custodian as present and as former")
    for key, of in (("quorum", "witnesses"), ("threshold", "custodians")):
        count = invite.get(key)
        if type(count) is not int or not 1 <= count <= len(invite[of]):
            raise HomeRefused(f"the invite's {key!r} must be from 1 to the number of {of}")
    return invite


def _rows_stated(entry: Json) -> int:
    """The size class of an actor; 1 where an entry states none, 0 where it is no number."""
    stated = entry.get("rows", 1)
    return stated if type(stated) is int else 0
