"""A witness's folder: its key, who it is, and the logs it trusts."""

import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.witness.ledger import Ledger
from provenance.errors import NoteRefused, ProvenanceError
from provenance.note import COSIGNATURE, Signer, Verifier


class HomeRefused(Exception):
    """The folder is not a witness's home, or already one; the words say what to do."""


@dataclass(frozen=True, slots=True)
class Home:
    """One witness's folder."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, name: str, listen: str, url: str | None = None) -> "Home":
        """Make key, identity and an empty ledger. An existing key is never replaced.

        Raises:
            HomeRefused: the folder already has a key, or the name has no letters.
        """
        home = cls(folder)
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
        if not slug:
            raise HomeRefused("a witness's name needs a letter or a digit")
        host, _, port = listen.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()):
            raise HomeRefused("listen on HOST:PORT, for example 127.0.0.1:7001")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        seed = secrets.token_bytes(32)
        try:
            handle = os.open(folder / "signing.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as refused:
            raise HomeRefused(
                f"{folder} already holds a signing.key; a witness's key is never replaced"
            ) from refused
        with os.fdopen(handle, "w") as out:
            out.write(seed.hex())
            out.flush()
            os.fsync(out.fileno())
        signer = Signer.from_seed(slug, seed, COSIGNATURE)
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        home._write(
            "identity.json",
            {
                "id": slug,
                "role": "witness",
                "name": name,
                "public": public.hex(),
                "vkey": signer.verifier.vkey,
                "url": url or f"http://{listen}",
                "listen": listen,
            },
        )
        home.ledger()
        return home

    def identity(self) -> dict[str, Any]:
        """What ``identity.json`` says."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "identity.json").read_text("utf-8"))
        except (OSError, ValueError) as refused:
            raise HomeRefused(
                f"{self.folder} is no witness's home: run trellis witness init"
            ) from refused
        return found

    def signer(self) -> Signer:
        """The witness's key, checked against the identity it is known by."""
        identity = self.identity()
        try:
            seed = bytes.fromhex((self.folder / "signing.key").read_text("ascii").strip())
            signer = Signer.from_seed(identity["id"], seed, COSIGNATURE)
        except (OSError, ValueError, NoteRefused) as refused:
            raise HomeRefused(f"{self.folder}/signing.key cannot be read") from refused
        if signer.verifier.vkey != identity["vkey"]:
            raise HomeRefused("signing.key is not the key that identity.json names")
        return signer

    def ledger(self) -> Ledger:
        """The ledger of cosigned trees."""
        return Ledger(self.folder / "witness.db")

    def trust(self, invite: dict[str, Any]) -> bool:
        """Trust the log of an invitation from now on.

        Returns:
            Whether the invitation lists this witness.

        Raises:
            HomeRefused: no usable log key in it, or another key is trusted for its origin.
        """
        try:
            log = Verifier.from_vkey(invite["log_vkey"])
            listed = {one["vkey"] for one in invite["witnesses"]}
            if log.name != invite["origin"]:
                raise HomeRefused("the invitation's log key belongs to another origin")
            self.ledger().trust(log)
        except (KeyError, TypeError, AttributeError, ProvenanceError) as refused:
            raise HomeRefused(f"this invitation cannot be used: {refused}") from refused
        self._write("invite.json", invite)
        return self.identity()["vkey"] in listed

    def _write(self, name: str, value: dict[str, Any]) -> None:
        temporary = self.folder / f".{name}.new"
        with temporary.open("w", encoding="utf-8") as out:
            json.dump(value, out, indent=1, sort_keys=True)
            out.write("\n")
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(self.folder / name)
