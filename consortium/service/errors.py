"""What the service refuses.

ServiceRefused
├── NotSignedIn     the link or the session is used up
├── EntryMisfits    a signed entry does not say what this call needs
├── PartMissing     an uploaded part is not here, or was left here too long
├── WrongState      this cannot be done in the state that the thing is in
└── NotReady        something that must come first is not there yet; try again later
"""


class ServiceRefused(Exception):
    """The service refused; the message names no person."""


class NotSignedIn(ServiceRefused):
    """The link or the session is used up."""


class EntryMisfits(ServiceRefused):
    """A signed entry does not say what this call needs."""


class PartMissing(ServiceRefused):
    """An uploaded part is not here, or was left here for too long without its entry."""


class WrongState(ServiceRefused):
    """This cannot be done in the state that the thing is in."""


class NotReady(ServiceRefused):
    """Something that must come first is not there yet; try again later."""
