"""One vocabulary for what providers say about messages: our word, how far along it is, and why one failed.

Providers name the same things differently, send late, twice and out of order. A rank that only grows tells whether what
arrives is news. Their own words are kept beside ours wherever both are shown.
"""

from enum import StrEnum
from typing import Final


class Word(StrEnum):
    """What has become of a message, whoever says it."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    REJECTED = "rejected"
    READ = "read"
    RECEIVED = "received"
    UNKNOWN = "unknown"


RANK: Final[dict[Word, int]] = {
    Word.UNKNOWN: 0,
    Word.RECEIVED: 0,
    Word.ACCEPTED: 1,
    Word.QUEUED: 2,
    Word.SENT: 3,
    Word.DELIVERED: 4,
    Word.UNDELIVERED: 4,
    Word.FAILED: 4,
    Word.REJECTED: 4,
    Word.READ: 5,
}
"""How far along a message is; what arrives with a lower rank than was there is late."""

ENDS: Final = frozenset({Word.DELIVERED, Word.UNDELIVERED, Word.FAILED, Word.REJECTED})
"""Words that exclude each other."""

THEIRS: Final[dict[str, Word]] = {
    **{word.value: word for word in Word},
    "scheduled": Word.ACCEPTED,
    "sending": Word.QUEUED,
    "canceled": Word.FAILED,
    "receiving": Word.RECEIVED,
}
"""What providers write, in small letters; no two of them mean different things by one word."""


class Why(StrEnum):
    """Why a message did not arrive, as far as the provider's code tells."""

    INVALID_NUMBER = "invalid_number"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"
    SPAM_FILTERED = "spam_filtered"
    OPTED_OUT = "opted_out"
    CARRIER_ERROR = "carrier_error"
    EXPIRED = "expired"
    PROVIDER_ERROR = "provider_error"
    OTHER = "other"


def word_of(theirs: str) -> Word:
    """Return our word for a provider's."""
    return THEIRS.get(theirs.lower(), Word.UNKNOWN)


def rank_of(theirs: str) -> int:
    """Return how far along a provider's word is."""
    return RANK[word_of(theirs)]
