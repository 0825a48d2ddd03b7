"""From a messy row to an unlinkable token, and from tokens to matches. Pure."""

from matching.crypto_errors import CryptoRefused
from matching.locks import RosterEntry
from matching.statement import Statement, check_statement

__all__ = ["CryptoRefused", "RosterEntry", "Statement", "check_statement"]
