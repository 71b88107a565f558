"""Descriptions of the analytics: the same questions for accounts and for the operator."""

from typing import Final

from ringback.analytics.asking import QUESTIONS, Question, schema
from ringback.analytics.definitions import DIMENSIONS, MEASURES, STATUSES
from ringback.analytics.filters import PERIODS
from ringback.analytics.questions import MOST_GROUPS, USUAL_LIMIT
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import Operation, Schema, text, whole, word

_SEVERAL: Final = "; several with commas, or the parameter several times; none for messages without one"
_FILTERS: Final[dict[str, Schema]] = {
    "period": text(f"Up to now: {', '.join(PERIODS)}, or another number of minutes, hours or days", default="24h"),
    "since": text("Instead of period: so long ago, such as 36h, or UTC such as 2026-01-31T12:00"),
    "until": text("The end of that, now if it is left out"),
    "origin": text("ringback for what this Ringback sent, or the name of a receiver source; several with commas"),
    "direction": text("outbound, which is usual, inbound, or both with a comma"),
    "country": text(f"Country of the recipient, such as IN{_SEVERAL}"),
    "carrier": text(f"Network of the recipient as MCC-MNC, such as 404-20{_SEVERAL}"),
    "sender": text(f"Sender as it was shown{_SEVERAL}"),
    "route": text(f"Name of the route{_SEVERAL}"),
    "connector": text(f"Name of our carrier{_SEVERAL}"),
    "error": text(f"Error code{_SEVERAL}"),
    "status": text(f"One of {', '.join(STATUSES)}; several with commas"),
    "type": text("sms or mms"),
    "compare": word("previous", description="For pages; it changes nothing here"),
}
_OPTIONS: Final[dict[str, Schema]] = {
    "by": word(*DIMENSIONS, description="What to group by"),
    "limit": whole(1, MOST_GROUPS, "How many groups at most", default=USUAL_LIMIT),
    "order": text("A figure, the largest first; with - before it the smallest first", default="accepted"),
    "measure": word(*MEASURES, description="Which latency"),
}
_ABOUT: Final[dict[str, Schema]] = {
    "since": text("Messages that were queued from then on, UTC"),
    "until": text("Messages that were queued before, UTC"),
    "as_of": text("All events up to then are in"),
    "state": word("current", "behind", "rebuilding", description="How far the analytics are"),
}


def _operation(name: str, question: Question, *, of_operator: bool) -> Operation:
    described = schema(question.gives)
    mine = {"account": text("Of this account only: its auth id")} if of_operator else {}
    start = "allAnalytics" if of_operator else "analytics"
    return Operation(
        method="GET",
        path=f"/v1/{'Operator' if of_operator else 'Account/{auth_id}'}/Analytics/{name}/",
        name=start + "".join(part.title() for part in name.split("-")),
        says=question.says,
        tag="Operator" if of_operator else "Analytics",
        query={**_FILTERS, **mine, **{option: _OPTIONS[option] for option in question.takes}},
        answers={200: shapes.answer({**_ABOUT, **described["properties"]}, says=question.says)},
        errors=(400,),
        of_operator=of_operator,
    )


OPERATIONS: Final = (
    *(_operation(name, question, of_operator=False) for name, question in QUESTIONS.items()),
    *(_operation(name, question, of_operator=True) for name, question in QUESTIONS.items()),
)
