"""What the web process refuses by itself.

WebRefused
└── CsrfRefused     a form without the token of this session: sent from another page, or too old
"""


class WebRefused(Exception):
    """The request is refused before any service is asked."""


class CsrfRefused(WebRefused):
    """The form does not carry the token of this session."""
