"""What a person's own tool refuses, by name; no message holds a member's name or address.

ToolError                    exit code 1
├── HomeRefused              a home folder, its key or its invite is not what it should be
├── VaultRefused             a file kept on this computer does not open under this home's key
├── CheckRefused             something the server or the log said does not hold
│   └── KeysNotYet           a key of the epoch is not in the log yet
├── ListRefused              a member list or a voter file that cannot go out as it is
├── ApiRefused               the server said no: status, title and what to do
└── Unreachable              exit code 3: nobody answered, or the log has not published yet
"""


class ToolError(Exception):
    """Anything a person's own tool refuses."""

    exit_code = 1


class HomeRefused(ToolError):
    """The home folder, its key or its invite is not what it should be."""


class VaultRefused(ToolError):
    """A file kept on this computer is damaged, or belongs to another home."""


class CheckRefused(ToolError):
    """Something the server or the log said does not hold; nothing was signed."""


class KeysNotYet(CheckRefused):
    """A key of the epoch is not in the log yet; it comes with the custodians' ceremony."""


class ListRefused(ToolError):
    """A member list or a voter file cannot go out as it is; nothing left this computer."""


class ApiRefused(ToolError):
    """The server refused a call, with a problem of RFC 9457."""

    def __init__(self, status: int, title: str, detail: str = "") -> None:
        super().__init__(f"{title} ({status})" + (f": {detail}" if detail else ""))
        self.status, self.title, self.detail = status, title, detail


class Unreachable(ToolError):
    """The server, a custodian or the log did not answer in time; running again goes on."""

    exit_code = 3
