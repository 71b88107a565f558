"""Description of questions in SQL."""

from typing import Final

from ringback.analytics.asked import LONGEST
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import Operation, many, number, record, text, whole

_ANSWER: Final = {
    "columns": many(text()),
    "types": many(text(), description="What DuckDB calls the types of the columns"),
    "rows": many({"type": "array"}, description="Values by column; what JSON has no kind for is text"),
    "cut": {"type": "boolean", "description": "Whether there were more rows than that"},
    "took_ms": number(),
}

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/Operator/Sql/",
        name="askSql",
        says="Answer one SELECT about the deliveries of all accounts, read only",
        tag="Operator",
        of_operator=True,
        body=record(
            {"sql": text("The question, about the tables messages and events", minLength=1, maxLength=LONGEST)},
            optional={"rows": whole(1, description="The most rows, analytics.query_rows if it is left out")},
        ),
        answers={200: shapes.answer(_ANSWER, says="The rows")},
        errors=(400, 413),
    ),
)
