"""What descriptions of operations are made of: schemas, bodies, answers, and the operation itself.

A schema is a plain JSON Schema. Descriptions say what a client may rely on: which members an answer has and of
which type, what a request may carry. Bounds that settings move are told in words, not in numbers.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

Schema = Mapping[str, Any]

UUID: Final[Schema] = {
    "type": "string",
    "format": "uuid",
    "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
}
TIME: Final[Schema] = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00$",
    "description": "UTC, such as 2026-01-31 12:00:00.000000+00:00",
}
MONEY: Final[Schema] = {"type": "string", "pattern": r"^\d+\.\d+$", "description": "Decimal text"}
FLAG: Final[Schema] = {"type": "boolean"}

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
MULTIPART: Final = "multipart/form-data"

_PATH_ID: Final = re.compile(r"\{(\w+)\}")
_IDS: Final[Mapping[str, Schema]] = {
    "auth_id": {"type": "string", "pattern": "^[MS]A[A-Z0-9]{18}$", "description": "The account of the credentials"},
    "subaccount_id": {"type": "string", "pattern": "^SA[A-Z0-9]{18}$"},
    "app_id": {"type": "string", "pattern": "^[0-9]{17}$"},
    "number": {"type": "string", "pattern": "^[0-9]{3,15}$"},
    "kind": {"type": "string", "enum": ["Number", "Tollfree", "Shortcode"]},
    "account_id": {"type": "string", "description": "The account that the link is of"},
    "endpoint_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "bin": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$", "description": "The name of a bin"},
    "capture": {"type": "string", "pattern": "^[0-9]{1,15}$", "description": "The number of a capture"},
    "alert_id": UUID,
    "source": {"type": "string", "pattern": "^[a-z0-9_-]+$", "description": "The name of a receiver source"},
    "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,39}$", "description": "Of a carrier or a route"},
}
"""Ids in paths that are not uuids."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path."""

    method: str
    path: str
    """As documents write it; routes have it in lower case."""
    name: str
    """Unique; generated clients name their functions so."""
    says: str
    tag: str
    answers: Mapping[int, Schema | str]
    """By status: a JSON schema, or the media type of an answer that is not JSON; empty for one without a body."""
    errors: Sequence[int] = ()
    """Statuses of flat errors beyond those that every operation has."""
    query: Mapping[str, Schema] = {}
    body: Schema | None = None
    form: bool = False
    """The body may be a form too."""
    body_type: str = JSON
    """The media type of a body that is no JSON."""
    with_credentials: bool = True
    of_operator: bool = False
    """The credentials are the operator's, not an account's."""

    def described(self) -> dict[str, Any]:
        """Return the operation as the document has it."""
        operation: dict[str, Any] = {
            "operationId": self.name,
            "summary": self.says,
            "tags": [self.tag],
            "parameters": [*self._path_parameters(), *self._query_parameters()],
            "responses": self._responses(),
        }
        if self.body is not None:
            kinds = [self.body_type, *([FORM] if self.form else [])]
            operation["requestBody"] = {"content": {kind: {"schema": self.body} for kind in kinds}}
        if not self.with_credentials:
            operation["security"] = []
        if self.of_operator:
            operation["security"] = [{"operator": []}]
        return operation

    def _path_parameters(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "in": "path", "required": True, "schema": _IDS.get(name, UUID)}
            for name in _PATH_ID.findall(self.path)
        ]

    def _query_parameters(self) -> list[dict[str, Any]]:
        return [{"name": name, "in": "query", "schema": schema} for name, schema in self.query.items()]

    def _responses(self) -> dict[str, Any]:
        limited = () if self.of_operator else (429,)
        always = (401, *limited, 500, 503) if self.with_credentials else ()
        errors = {status: {"$ref": f"#/components/responses/Error{status}"} for status in {*always, *self.errors}}
        answers = {status: _response(schema) for status, schema in self.answers.items()}
        return {str(status): response for status, response in sorted({**errors, **answers}.items())}


def _response(schema: Schema | str) -> dict[str, Any]:
    if isinstance(schema, str):
        return {"description": "As asked for", **({"content": {schema: {}}} if schema else {})}
    return {"description": str(schema.get("description", "As asked for")), "content": {JSON: {"schema": schema}}}


def text(description: str = "", **more: Any) -> Schema:
    """Return the schema of a text."""
    return {"type": "string", **({"description": description} if description else {}), **more}


def word(*words: str, description: str = "") -> Schema:
    """Return the schema of one of some words."""
    return text(description, enum=list(words))


def whole(least: int, most: int | None = None, description: str = "", **more: Any) -> Schema:
    """Return the schema of a whole number."""
    bounds = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return {"type": "integer", **bounds, **({"description": description} if description else {}), **more}


def number(least: float = 0, description: str = "", **more: Any) -> Schema:
    """Return the schema of a number."""
    return {"type": "number", "minimum": least, **({"description": description} if description else {}), **more}


def many(items: Schema, **more: Any) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items, **more}


def or_null(schema: Schema) -> Schema:
    """Return the schema of something that may be null."""
    nullable = {**schema, "type": [schema["type"], "null"]}
    return {**nullable, "enum": [*schema["enum"], None]} if "enum" in schema else nullable


def record(members: Mapping[str, Schema], *, optional: Mapping[str, Schema] | None = None, says: str = "") -> Schema:
    """Return the schema of an object that has all of ``members``, and perhaps some of ``optional``."""
    return {
        "type": "object",
        **({"description": says} if says else {}),
        "required": list(members),
        "properties": {**members, **(optional or {})},
    }


def answer(members: Mapping[str, Schema], *, optional: Mapping[str, Schema] | None = None, says: str = "") -> Schema:
    """Return the schema of an answer: an object with an ``api_id``."""
    return record({"api_id": UUID, **members}, optional=optional, says=says)


def request(members: Mapping[str, Schema], *, required: Sequence[str] = ()) -> Schema:
    """Return the schema of a body."""
    return {"type": "object", "properties": members, **({"required": list(required)} if required else {})}


PAGE: Final[Mapping[str, Schema]] = {
    "limit": whole(1, 20, "How many at most", default=20),
    "offset": whole(0, 10_000_000, "How many to leave out", default=0),
}


def meta() -> Schema:
    """Return the schema of where a page of a list is."""
    link = {"type": ["string", "null"], "description": "A relative link, or null"}
    return record({"limit": whole(1), "offset": whole(0), "next": link, "previous": link, "total_count": whole(0)})


def page(objects: Schema) -> Schema:
    """Return the schema of a page of a list that goes by ``limit`` and ``offset``."""
    return answer({"meta": meta(), "objects": many(objects)})


def feed(objects: Schema) -> Schema:
    """Return the schema of a part of a list that goes on where ``next`` says."""
    return answer({"objects": many(objects), "next": {"type": ["string", "null"]}})
