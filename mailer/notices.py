"""The few short letters that the mail machine writes by itself: about a reply, and where it goes.

Plain text, English and then Spanish, since nobody knows the reader's language here. They say that a
machine wrote them (RFC 3834), so that no other machine answers.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from mailer.addresses import envelope
from mailer.dkim import Signer
from mailer.errors import LetterRefused

HELD = "Your reply waits for your yes / Su respuesta espera su sí"
UNHEARD = "Your reply was not passed on / Su respuesta no se entregó"
BOX = "Replies to letters in your name / Respuestas a las cartas en su nombre"

OWN = "Is this address yours? / ¿Es suya esta dirección?"


@dataclass(frozen=True, slots=True)
class Notice:
    """One short letter; ``repr`` shows nothing of whom it is to or about.

    Args:
        name: shown as the sender, beside the address ``reply@domain``.
        to: the bare address.
        reply_to: where an answer goes, if not to the sender.
        ident: the Message-ID, with its angle brackets.
    """

    name: str
    domain: str
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    ident: str
    reply_to: str = field(default="", repr=False)
    submitted: str = "auto-replied"

    def write(self, at: datetime, signer: Signer | None) -> bytes:
        """Return the whole letter, CRLF line ends, signed if there is a signer.

        Raises:
            AddressRefused, LetterRefused: a part of it cannot stand in a header.
        """
        made = EmailMessage(policy=SMTP)
        try:
            made["From"] = Address(self.name, "reply", self.domain)
            made["To"] = envelope(self.to)
            if self.reply_to:
                made["Reply-To"] = envelope(self.reply_to)
            made["Subject"] = self.subject
        except ValueError:
            raise LetterRefused("notice", "has a line break in a header") from None
        made["Date"] = format_datetime(at.astimezone(UTC))
        made["Message-ID"] = self.ident
        made["Auto-Submitted"] = self.submitted
        made["X-Auto-Response-Suppress"] = "All"
        made.set_content(self.text, cte="quoted-printable")
        whole = made.as_bytes()
        return whole if signer is None else signer.sign(whole, at=at) + whole


def held(messenger: str, partner: str, link: str, days: int) -> str:
    """Ask whether a reply may be passed on; it says exactly what that shows, and to whom."""
    return _both(
        f"You replied to a letter that {messenger} signed for {partner}. Your reply has not been"
        f" passed on. If you say yes, {messenger} gets your words, and sees your email address.",
        "To say yes or no, open this page and press a button there:",
        f"If you do nothing, your reply is deleted after {days} days, unread by any person.",
        f"Usted respondió a una carta que {messenger} firmó por {partner}. Su respuesta no se ha"
        f" entregado. Si dice que sí, {messenger} recibe sus palabras y ve su dirección de correo.",
        "Para decir sí o no, abra esta página y oprima allí un botón:",
        f"Si no hace nada, su respuesta se borra a los {days} días sin que nadie la lea.",
        link,
    )


def unheard(messenger: str, partner: str, link: str) -> str:
    """Say that nobody takes replies, and what can be done instead."""
    return _both(
        f"You replied to a letter that {messenger} signed for {partner}. {messenger} takes no"
        f" replies here, so yours was deleted, and no person has read it. Please write to {partner}"
        " itself.",
        "To get no more of these letters, or to see why you got it:",
        "",
        f"Usted respondió a una carta que {messenger} firmó por {partner}. {messenger} no recibe"
        f" respuestas aquí; la suya se borró y nadie la leyó. Escriba directamente a {partner}.",
        "Para no recibir más de estas cartas, o ver por qué la recibió:",
        "",
        link,
    )


def box(messenger: str, race: str, link: str, days: int) -> str:
    """Ask whether replies to letters in somebody's name may come to an address."""
    return _both(
        f"Somebody who holds {messenger}'s link wants replies to letters about {race} to come to"
        " this address. If that is you, open this page and press the button:",
        "",
        f"If it is not, do nothing: nothing comes here, and the address is deleted after {days}"
        " days.",
        f"Alguien que tiene el enlace de {messenger} quiere que las respuestas a las cartas sobre"
        f" {race} lleguen a esta dirección. Si es usted, abra esta página y oprima el botón:",
        "",
        f"Si no lo es, no haga nada: aquí no llegará nada, y la dirección se borra a los {days}"
        " días.",
        link,
    )


def own(role: str, link: str, days: int) -> str:
    """Ask somebody of ours whether an address is theirs, and say what would come there."""
    seed = role == "partner"
    what = (
        "the first letter of each email that the partner takes part in, before anybody else's"
        if seed
        else "test letters, when the coordinator asks for one"
    )
    es = (
        "la primera carta de cada correo en que participa la organización, antes que a nadie más"
        if seed
        else "cartas de prueba, cuando la coordinación pida una"
    )
    return _both(
        f"The race's {role} named this address as their own. If it is yours and you say yes, it"
        f" gets {what}. To say so, open this page and press the button:",
        "",
        f"If it is not yours, do nothing: nothing comes here, and the address is deleted after"
        f" {days} days.",
        "Alguien de la campaña indicó esta dirección como suya. Si lo es y dice que sí, aquí"
        f" llegará: {es}. Para decirlo, abra esta página y oprima el botón:",
        "",
        f"Si no es suya, no haga nada: aquí no llegará nada, y la dirección se borra a los {days}"
        " días.",
        link,
    )


def passed_on(messenger: str, text: str) -> str:
    """Give a reply to whoever signed the letter, its writer having said yes."""
    said = (
        f"{messenger}, this is a reply to a letter in your name. Its writer agreed that you see"
        " their address. If you answer, they see yours. Files and pictures were left out. Keep it"
        " to yourself, and write no more if they ask you to stop."
    )
    return f"{textwrap.fill(said, 72)}\n\n{'- ' * 20}\n\n{text}\n"


def _both(ask: str, do: str, end: str, ask_es: str, do_es: str, end_es: str, link: str) -> str:
    halves = []
    for first, second, third in ((ask, do, end), (ask_es, do_es, end_es)):
        said = [textwrap.fill(one, 72) for one in (first, second) if one]
        halves.append("\n\n".join([*said, link, *([textwrap.fill(third, 72)] if third else [])]))
    return f"\n\n{'- ' * 20}\n\n".join(halves) + "\n"
