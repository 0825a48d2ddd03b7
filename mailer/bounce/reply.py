"""A person's answer to a letter: who wrote it, which letter it is about, and its own words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.message import Message
from email.utils import getaddresses
from html.parser import HTMLParser

from mailer.addresses import envelope
from mailer.bounce.automatic import is_automatic, text
from mailer.bounce.returned import parse, parts, plain
from mailer.errors import AddressRefused

MAX_TEXT = 20_000
MAX_SUBJECT = 200
_ABOUT = 20
_QUOTED_ID = re.compile(r"<[^<>@\s]{1,200}@[^<>@\s]{1,253}>")
# Where the letter that is answered begins, as mail programs write it.
_BELOW = re.compile(
    r"^(?:>|-{3,} ?(?:original message|mensaje original|forwarded message|mensaje reenviado)"
    r"|_{10,}|(?:on|el|em|le|am) .{4,200}(?:wrote|escribió|escreveu|écrit|schrieb)\s*:?\s*$"
    r"|(?:from|de|von)\s?: .{1,200}$|-- ?$|sent from my |enviado desde mi )",
    re.IGNORECASE,
)
_NO = re.compile(
    r"(?:please |por favor |pls )?(?:stop|unsubscribe|remove(?: me)?|opt[ -]?out|take me off"
    r"|no more(?: e-?mails?| letters?)?|leave me alone|do not (?:contact|e-?mail|write(?: to)?) me"
    r"|don'?t (?:contact|e-?mail|write(?: to)?) me|alto|pare[ns]?|basta|baja|cancelar|dar de baja"
    r"|darme de baja|no (?:me )?(?:escriban|manden|envíen)(?: m[aá]s)?(?: correos| cartas)?"
    r"|elim[ií]nenme|b[oó]rrenme|no m[aá]s(?: correos| cartas)?)"
    r"(?: (?:e-?mailing|writing|sending|contacting|now|me|this|these|all|e-?mails?|letters?|from"
    r"|your|the|this|list|lists|mailing|them|it|to|correos|cartas|please|por|favor|de|la|lista|ya"
    r"|thanks?|thank you|gracias))*",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[^\w'\s-]+")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person answered; ``repr`` shows nothing.

    Args:
        sender: the bare address that it says it is from.
        subject: one line.
        text: its words, with what it quotes; nothing else of it is kept, no file and no markup.
        about: Message-IDs that it quotes, unchecked, the newest first.
    """

    sender: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    about: tuple[str, ...] = field(repr=False)

    @property
    def is_no(self) -> bool:
        """Whether these words, or without any the subject, are only a wish to get no more.

        Asked of the writer's own words, above what they quote. A sentence that merely holds such
        a word is no stop: somebody should read it.
        """
        own = own_words(self.text) or re.sub(r"^(?:\s*(?:re|rv|fwd?)\s*:)+", "", self.subject)
        said = " ".join(_MARKS.sub(" ", own).split())
        return bool(said) and _NO.fullmatch(said) is not None


def read_reply(octets: bytes) -> Reply | None:
    """Read what came to a reply address.

    Returns:
        None for whatever a machine wrote, and for what has no words, or no single sender.
    """
    message = parse(octets)
    senders = getaddresses([text(message, "from")])
    if is_automatic(message) or len(senders) != 1:
        return None
    try:
        sender = envelope(senders[0][1])
    except AddressRefused:
        return None
    words = _words(message)
    about = [*_QUOTED_ID.findall(str(message.get("in-reply-to", "")))]
    about += reversed(_QUOTED_ID.findall(str(message.get("references", ""))))
    subject = _tidy(text(message, "subject")).replace("\n", " ")[:MAX_SUBJECT]
    if not words.strip() and not subject.strip():
        return None
    return Reply(sender, subject, words, tuple(dict.fromkeys(about))[:_ABOUT])


def own_words(whole: str) -> str:
    """Return what stands above the quoted letter and the signature."""
    kept: list[str] = []
    for line in whole.splitlines():
        if _BELOW.match(line.strip()):
            break
        kept.append(line)
    return "\n".join(kept).strip()


def _words(message: Message) -> str:
    first = next(parts(message, "text/plain"), None)
    if first is not None:
        return _tidy(plain(first))
    marked = next(parts(message, "text/html"), None)
    return "" if marked is None else _tidy(_unmarked(plain(marked)))


def _tidy(whole: str) -> str:
    """Return text with plain line ends and no control or direction marks, at most ``MAX_TEXT``."""
    lines = whole[: 4 * MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = ("".join(one if one.isprintable() else " " for one in line).rstrip() for line in lines)
    return "\n".join(kept)[:MAX_TEXT].strip()


def _unmarked(marked: str) -> str:
    reader = _Reader()
    reader.feed(marked[: 8 * MAX_TEXT])
    return "".join(reader.kept)


class _Reader(HTMLParser):
    """Takes the words out of HTML; nothing of it is fetched or run."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("style", "script", "head", "title"):
            self._hidden += 1
        elif tag in ("br", "p", "div", "li", "tr", "blockquote"):
            self.kept.append("\n> " if tag == "blockquote" else "\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script", "head", "title"):
            self._hidden = max(0, self._hidden - 1)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.kept.append(data)
