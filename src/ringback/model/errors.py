"""One tree of errors, classed by what the caller does next.

``Refused``      the request is at fault: change it and send again.
``TryLater``     nothing is wrong with the request; nothing was stored, but for ``OutcomeUnknown``; send it again later.
``StartupError`` the operator must change something before Ringback can start; one line says what.

Each error's text is written for the person who reads it: it says what is wrong and what to do.
"""


class RingbackError(Exception):
    """Root of every error that Ringback raises on purpose."""


class Refused(RingbackError):
    """The request cannot be carried out as it stands; nothing was stored."""


class InvalidRequest(Refused):
    """A parameter is missing, malformed or out of range."""


class InsufficientCredit(InvalidRequest):
    """The account's credit does not suffice.

    An ``InvalidRequest`` because of what clients do with the answer: of the statuses that would fit, 400 is the one of
    which every SDK passes the text on.
    """


class NotAuthenticated(Refused):
    """No credentials, or wrong ones."""


class Forbidden(Refused):
    """The credentials are right, but do not reach this resource."""


class NotFound(Refused):
    """No such resource for this account."""


class MethodNotAllowed(Refused):
    """The resource exists, but not for this HTTP method."""


class TooLarge(Refused):
    """The request body is over the limit."""


class QuestionRefused(Refused):
    """A question to the analytics cannot be answered as it stands: it is malformed, or does what it may not."""


class QuestionTooLong(Refused):
    """A question to the analytics took more time or memory than it may; nothing is wrong otherwise."""


class ReplyMalformed(RingbackError):
    """What answered an inbound message is no XML reply that can be read; nothing of it was executed."""


class PduMalformed(RingbackError):
    """What came over an SMPP connection cannot be read; ``status`` is what the peer is told."""

    def __init__(self, text: str, *, status: int) -> None:
        super().__init__(text)
        self.status = status


class FieldTooLong(RingbackError):
    """A value does not fit into its field of an SMPP PDU; nothing was sent."""


class PduRefused(Refused):
    """What somebody who is bound asks for cannot be done; ``status`` is what they are told."""

    def __init__(self, text: str, *, status: int) -> None:
        super().__init__(text)
        self.status = status


class TryLater(RingbackError):
    """A passing condition; the same request may succeed in a moment."""


class StoreUnavailable(TryLater):
    """The database did not take the transaction; it was rolled back as a whole."""


class AnalyticsAway(TryLater):
    """No process holds the analytics file, or it is being made anew."""


class OutcomeUnknown(StoreUnavailable):
    """The database was lost as it committed; the whole transaction is there, or nothing of it."""


class OutOfSpace(TryLater):
    """There is no room for what was sent; nothing of it was kept."""


class ShuttingDown(TryLater):
    """The process is draining and takes no new work."""


class TooManyRequests(TryLater):
    """The account has made as many requests as it may; ``retry_after_s`` is when the next one may come."""

    def __init__(self, text: str, *, retry_after_s: int) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class StartupError(RingbackError):
    """Ringback cannot start until the operator changes something."""


class ConfigInvalid(StartupError):
    """A setting is unknown, of the wrong type or out of range."""


class PortInUse(StartupError):
    """The address to listen on is taken."""


class DataDirUnusable(StartupError):
    """The data directory cannot be created or written."""


class DatabaseUnusable(StartupError):
    """The database file is corrupt, read-only, or of a newer Ringback."""
