"""What a custodian refuses, each by a name that tells the caller what to do and nobody a row.

CustodianError
|-- Refused          a call is refused: name, detail, HTTP status
|-- HomeUnready      a folder without key, identity or invite; says which command makes it
|-- LogUnreachable   the operator's API or log does not answer now
|-- WrappingRefused  a secret at rest does not open: wrong passphrase, PIN, key, row or home
`-- WrappingAway     the token or the vault that opens it does not answer now
"""


class CustodianError(Exception):
    """Anything a custodian's own program can raise."""


class Refused(CustodianError):
    """A call that this custodian does not answer.

    Attributes:
        name: one of the names in docs/custodian-refusals.md, for machines.
        detail: a sentence for people; never a row, lock or value.
        status: HTTP status.
    """

    def __init__(self, name: str, detail: str, status: int = 403) -> None:
        super().__init__(f"{name}: {detail}")
        self.name, self.detail, self.status = name, detail, status


class HomeUnready(CustodianError):
    """This home is not set up for what was asked."""


class LogUnreachable(CustodianError):
    """The log cannot be asked now; nothing was decided."""


class WrappingRefused(CustodianError):
    """A secret at rest does not open with what was given; trying the same again will not help."""


class WrappingAway(CustodianError):
    """What opens the secrets at rest cannot be asked now; nothing was lost."""
