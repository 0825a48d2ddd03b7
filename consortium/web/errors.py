"""What the web process refuses by itself.

WebRefused
├── CsrfRefused     a form without the token of this session: sent from another page, or too old
├── UploadBroken    the sender of a part went away before its end
└── UploadTooLarge  a part or a body beyond what is taken
"""


class WebRefused(Exception):
    """The request is refused before any service is asked."""


class CsrfRefused(WebRefused):
    """The form does not carry the token of this session."""


class UploadBroken(WebRefused):
    """The sender of a part went away before its end; nothing was kept."""


class UploadTooLarge(WebRefused):
    """A part or a body is larger than what is taken; nothing was kept."""
