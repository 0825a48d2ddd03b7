"""Why the log's writer has stopped, kept for whoever asks how things stand."""

from consortium.store import texts
from consortium.store.unit import Unit, Units

NAME = "log-halted"


def note(units: Units, why: str) -> None:
    """Keep the words of a writer that stops; none once it has written again."""

    def keep(unit: Unit) -> None:
        if why:
            texts.put(unit, NAME, why)
        else:
            texts.drop(unit, NAME)

    if why or units.read("halted", halted):
        units.run("halted", keep)


def halted(unit: Unit) -> str:
    """The words, or none while the log is written."""
    return texts.get(unit, NAME) if texts.named(unit, NAME) else ""
