"""Where a passphrase, a PIN or a vault's token comes from: a credential, a file, or a person.

Never from a command line (any account can read it in /proc) and never from a plain environment
variable (children inherit it, and it ends in crash reports).
"""

import os
import stat
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from consortium.custodian.errors import WrappingRefused

#: Names of what may be asked for; each is also the name of a systemd credential and a settings key.
SECRETS = ("passphrase", "pin", "vault-token")
MOST_BYTES = 4096


class Ask(Protocol):
    """Returns one secret by its name; ``new`` when it is being chosen."""

    def __call__(self, name: str, *, new: bool = False) -> bytes:
        """Return the secret; raises WrappingRefused when nobody can say it."""


class Asking:
    """Looks for a secret in the order: file of the settings, systemd credential, terminal.

    Args:
        files: path by name, from ``[secrets]`` in settings.toml or an option.
        credentials: the folder of ``$CREDENTIALS_DIRECTORY``, which only this unit can read.
        prompt: asks a person, without echo; None when nobody is there.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        credentials: Path | None = None,
        prompt: Callable[[str, bool], str] | None = None,
    ) -> None:
        self._files, self._credentials, self._prompt = files, credentials, prompt
        self._said = dict[str, bytes]()

    def __call__(self, name: str, *, new: bool = False) -> bytes:
        """Return the secret by its name.

        A file is read each time, since a vault's agent renews its token there; a person is asked
        once.
        """
        if name in self._files:
            return clean(_private(self._files[name], name), name)
        if self._credentials is not None and (self._credentials / name).exists():
            # Its folder is the unit's alone; an ACL makes the mode of the file look wider.
            return clean((self._credentials / name).read_bytes(), name)
        if name not in self._said:
            if self._prompt is None:
                raise WrappingRefused(_NOBODY.format(name=name))
            self._said[name] = clean(self._prompt(name, new).encode(), name)
        return self._said[name]


_NOBODY = (
    "nobody is here to say the {name}, and there is no file with it: run this at a terminal, or "
    "name a file of mode 0600 as `{name}` under [secrets] in settings.toml, or give the unit a "
    "systemd credential `{name}`"
)


def from_environment() -> Path | None:
    """Return the folder of this unit's systemd credentials, if it has any."""
    named = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(named) if named else None


def _private(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise WrappingRefused(f"the {name} in {path}: {error.strerror}") from error
    if stat.S_ISREG(mode) and mode & 0o077:
        raise WrappingRefused(f"the {name} in {path} can be read by others: chmod 600 it")
    return raw


def clean(raw: bytes, name: str) -> bytes:
    """Take off the newline an editor leaves, and write accents one way (NFC).

    Raises:
        WrappingRefused: empty, too long, or no UTF-8.
    """
    try:
        text = unicodedata.normalize("NFC", raw.decode()).rstrip("\r\n")
    except UnicodeDecodeError:
        raise WrappingRefused(f"the {name} is not UTF-8 text") from None
    if not text or len(raw) > MOST_BYTES:
        raise WrappingRefused(f"the {name} is empty, or longer than {MOST_BYTES} bytes")
    return text.encode()
