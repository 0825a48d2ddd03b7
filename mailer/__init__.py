"""From a sealed address to a letter handed over, and what comes back."""

from mailer.errors import MailerError, TemplateRefused, UnsealRefused
from mailer.keys import KeyPair, generate
from mailer.seal import SEALED_BYTES, Payload, new_wrapped_key, seal

__all__ = [
    "SEALED_BYTES",
    "KeyPair",
    "MailerError",
    "Payload",
    "TemplateRefused",
    "UnsealRefused",
    "generate",
    "new_wrapped_key",
    "seal",
]
