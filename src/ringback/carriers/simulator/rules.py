"""How a simulated carrier behaves, as data.

A rule holds for the destinations that begin with one of its prefixes. It says how a submission is answered
and after what time, and which endings there are, with what weights. Every field that a rule leaves out is
that of a healthy carrier. All times are in seconds, before ``speed`` divides them.
"""

from typing import Annotated, Final

import msgspec

Duration = Annotated[float, msgspec.Meta(ge=0, le=604_800)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=604_800)]
Weight = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
Times = Annotated[int, msgspec.Meta(ge=1, le=100)]
ErrorCode = Annotated[str, msgspec.Meta(pattern=r"^(?!0+\Z)[0-9]{1,5}\Z")]
Prefix = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{0,14}\Z")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]

LONGEST_ANSWER_S: Final = 30.0
"""A submission is leased: one that is answered much later would be handed over a second time meanwhile."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that a rule is made of."""


class Fixed(Part, frozen=True, kw_only=True, tag_field="law", tag="fixed"):
    """Always the same time."""

    seconds: Duration

    @property
    def longest_s(self) -> float:
        """The longest time there can be."""
        return self.seconds


class Uniform(Part, frozen=True, kw_only=True, tag_field="law", tag="uniform"):
    """Any time between two bounds, each as likely as another."""

    min_s: Duration
    max_s: Duration

    def __post_init__(self) -> None:
        """Refuse bounds in the wrong order."""
        if self.min_s > self.max_s:
            raise ValueError("min_s is more than max_s")

    @property
    def longest_s(self) -> float:
        """The longest time there can be."""
        return self.max_s


class LogNormal(Part, frozen=True, kw_only=True, tag_field="law", tag="lognormal"):
    """Mostly near the median, with a long tail; what exceeds the bound is set to the bound."""

    median_s: Positive
    sigma: Annotated[float, msgspec.Meta(gt=0, le=5)]
    """Standard deviation of the time's natural logarithm: 0.5 is a short tail, 1.5 a very long one."""
    max_s: Positive

    def __post_init__(self) -> None:
        """Refuse a bound that would cut off half of all times."""
        if self.median_s > self.max_s:
            raise ValueError("median_s is more than max_s")

    @property
    def longest_s(self) -> float:
        """The longest time there can be."""
        return self.max_s


Law = Fixed | Uniform | LogNormal


class Accept(Part, frozen=True, kw_only=True, tag_field="kind", tag="accept"):
    """The carrier takes the message."""

    weight: Weight = 1


class Reject(Part, frozen=True, kw_only=True, tag_field="kind", tag="reject"):
    """The carrier refuses the message for good."""

    weight: Weight = 1
    code: ErrorCode


class Throttle(Part, frozen=True, kw_only=True, tag_field="kind", tag="throttle"):
    """The carrier says "not now" some times, then takes the message."""

    weight: Weight = 1
    times: Times
    retry_after_s: Positive = 1.0


class NoAnswer(Part, frozen=True, kw_only=True, tag_field="kind", tag="no_answer"):
    """The carrier does not answer in time; after some times it takes the message, or never does."""

    weight: Weight = 1
    times: Times | None = None
    """``None``: it never answers."""
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_ANSWER_S)]
    """How long the answer is waited for."""
    retry_after_s: Positive = 1.0


Answer = Accept | Reject | Throttle | NoAnswer


class LaterDelivered(Part, frozen=True, kw_only=True, tag_field="result", tag="delivered"):
    """One or more further receipts that say "delivered"."""

    after_s: Duration
    """Counted from the receipt before."""
    times: Times = 1


class LaterUndelivered(Part, frozen=True, kw_only=True, tag_field="result", tag="undelivered"):
    """One or more further receipts that say "undelivered"."""

    after_s: Duration
    """Counted from the receipt before."""
    times: Times = 1
    code: ErrorCode


Later = LaterDelivered | LaterUndelivered


class Delivered(Part, frozen=True, kw_only=True, tag_field="result", tag="delivered"):
    """The handset has it."""

    weight: Weight = 1
    delay: Law | None = None
    """From the answer to the receipt; ``None``: the rule's ``receipt_delay``."""
    early: bool = False
    """The receipt comes before the answer to the submission, whatever ``delay`` says."""
    later: tuple[Later, ...] = ()
    """Further receipts: duplicates and contradictions."""


class Undelivered(Part, frozen=True, kw_only=True, tag_field="result", tag="undelivered"):
    """It did not reach the handset."""

    weight: Weight = 1
    delay: Law | None = None
    """From the answer to the receipt; ``None``: the rule's ``receipt_delay``."""
    early: bool = False
    """The receipt comes before the answer to the submission, whatever ``delay`` says."""
    later: tuple[Later, ...] = ()
    """Further receipts: duplicates and contradictions."""
    code: ErrorCode


class NoReceipt(Part, frozen=True, kw_only=True, tag_field="result", tag="none"):
    """The carrier never says what became of it."""

    weight: Weight = 1


Ending = Delivered | Undelivered | NoReceipt

HEALTHY_ANSWER_DELAY: Final = Uniform(min_s=0.02, max_s=0.08)
HEALTHY_RECEIPT_DELAY: Final = LogNormal(median_s=0.8, sigma=0.6, max_s=6.0)
HEALTHY_ENDINGS: Final[tuple[Ending, ...]] = (
    Delivered(weight=94),
    Undelivered(weight=0.9, code="80"),
    Undelivered(weight=0.9, code="30"),
    Undelivered(weight=0.8, code="20"),
    Undelivered(weight=0.7, code="50"),
    Undelivered(weight=0.5, code="70"),
    Undelivered(weight=0.2, code="1000"),
    NoReceipt(weight=2),
)


class Rule(Part, frozen=True, kw_only=True):
    """What happens to messages for some destinations."""

    name: Name
    prefixes: Annotated[tuple[Prefix, ...], msgspec.Meta(min_length=1)]
    """Leading digits, country code first; the empty prefix stands for every number."""
    answers: Annotated[tuple[Answer, ...], msgspec.Meta(min_length=1)] = (Accept(),)
    answer_delay: Law = HEALTHY_ANSWER_DELAY
    receipt_delay: Law = HEALTHY_RECEIPT_DELAY
    endings: Annotated[tuple[Ending, ...], msgspec.Meta(min_length=1)] = HEALTHY_ENDINGS

    def __post_init__(self) -> None:
        """Refuse answers that take longer than a submission is waited for."""
        if self.answer_delay.longest_s > LONGEST_ANSWER_S:
            raise ValueError(f"answer_delay is longer than {LONGEST_ANSWER_S:g} seconds")
