"""Answers as JSON has them, for programs and the command line."""

from ringback.analytics.engine import Answer


def as_object(answer: Answer) -> dict[str, object]:
    """Return an answer as JSON has it: what JSON has no kind for is text."""
    return {
        "columns": list(answer.columns),
        "types": list(answer.types),
        "rows": [[_plain(value) for value in row] for row in answer.rows],
        "cut": answer.cut,
        "took_ms": round(answer.took_ms, 3),
    }


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return str(value)
