"""Rings on folders: a message appears whole or not at all, and one that is torn is no message.

Kombu's own transport on folders opens a message's file under its name before it writes it. Whoever
reads in between finds it empty; that is an error from which a worker does not recover, so it ended,
quietly, and with the code of an end that somebody asked for.
"""

import os
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

URL = "folders://"


def written(payload: Any) -> str:
    """A message as it stands in its file."""
    made: str = dumps(payload)  # type: ignore[no-untyped-call]
    return made


class Channel(filesystem.Channel):
    """Messages of one process in a folder that others share."""

    def _put(self, queue: str, payload: Any, **more: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = f"{round(monotonic() * 1000)}_{uuid4()}.{queue}.msg"
        aside = folder / f".{name}.part"  # of no queue: nobody reads it
        try:
            aside.write_text(written(payload))
            os.replace(aside, folder / name)
        except OSError as error:
            raise ChannelError(f"the ring for {queue} could not be written") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        read: Any = super()._get
        try:
            return read(queue)
        except ValueError as torn:
            # Moved aside by now. A lost ring is rung again by the beat.
            raise Empty from torn


class Transport(filesystem.Transport):
    """The same folders, with our channel."""

    Channel = Channel


TRANSPORT_ALIASES["folders"] = f"{__name__}:{Transport.__name__}"
