"""The XML with which applications answer inbound messages (contract section 4.4), read into what it asks for.

The parser is expat, without anything that makes XML dangerous: a document type is refused before it can declare an
entity, so nothing expands and nothing is fetched. What is well formed and not understood is kept as such, so that the
user can be told.
"""

from typing import Any, Final
from xml.parsers import expat

import msgspec

from ringback.model.errors import ReplyMalformed

CONTENT_TYPES: Final = frozenset({"application/xml", "text/xml"})
MAX_PARTS: Final = 100
MAX_DEPTH: Final = 32
_SHOWN: Final = 64


class MessageElement(msgspec.Struct, frozen=True):
    """A message to be sent: the fields of a send request."""

    fields: dict[str, str]


class OtherElement(msgspec.Struct, frozen=True):
    """Something that is not executed, and why."""

    name: str
    reason: str


Element = MessageElement | OtherElement

_FIELDS: Final = {
    "src": "src", "dst": "dst", "type": "type", "callbackUrl": "url", "callbackMethod": "method",
}  # fmt: skip
"""Attributes of ``Message``, and the fields of a send request that they stand for."""


def is_reply(content_type: str) -> bool:
    """Say whether an answer's content type makes it a reply."""
    return content_type.partition(";")[0].strip().lower() in CONTENT_TYPES


def parse(body: bytes) -> list[Element]:
    """Return the elements of a reply in their order. Raises ``ReplyMalformed``.

    An empty body asks for nothing.
    """
    if not body.strip():
        return []
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.EntityDeclHandler = reader.entity
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        raise ReplyMalformed(f"not well-formed XML: {expat.ErrorString(error.code)} in {place}") from error
    except (ValueError, LookupError) as error:
        raise ReplyMalformed("not readable XML: declare an encoding such as UTF-8") from error
    return reader.found


class _Reader:
    """Follows the parser; keeps what stands directly in ``Response``."""

    def __init__(self) -> None:
        self.found: list[Element] = []
        self._depth = 0
        self._name = ""
        self._attributes: dict[str, str] = {}
        self._text: list[str] = []
        self._stray: list[str] = []
        self._nested = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ReplyMalformed(f"elements are nested more than {MAX_DEPTH} deep")
        if self._depth == 1 and name != "Response":
            raise ReplyMalformed(f"the root element is {_short(name)}; it must be Response")
        if self._depth == 2:
            self._end_stray()
            self._name, self._attributes, self._text, self._nested = name, attributes, [], ""
        elif self._depth > 2:
            self._nested = self._nested or name

    def end(self, _: str) -> None:
        if self._depth == 2:
            self._keep(self._element())
        elif self._depth == 1:
            self._end_stray()
        self._depth -= 1

    def characters(self, text: str) -> None:
        if self._depth == 1:
            self._stray.append(text)
        elif self._depth == 2:
            self._text.append(text)

    def doctype(self, *_: Any) -> None:
        raise ReplyMalformed("a document type is not allowed in a reply: remove <!DOCTYPE ...>")

    def entity(self, *_: Any) -> None:
        raise ReplyMalformed("entities are not allowed in a reply: write what they stand for")

    def _element(self) -> Element:
        if self._name != "Message":
            return OtherElement(_short(self._name), "only Message is executed, with a capital M")
        if self._nested:
            reason = f"it contains {_short(self._nested)}, and a Message may contain nothing but text"
            return OtherElement("Message", reason)
        given = {field: self._attributes[name] for name, field in _FIELDS.items() if name in self._attributes}
        return MessageElement({**given, "text": "".join(self._text).strip()})

    def _end_stray(self) -> None:
        if "".join(self._stray).strip():
            self._keep(OtherElement("text", "text outside of a Message is not sent"))
        self._stray.clear()

    def _keep(self, element: Element) -> None:
        if len(self.found) == MAX_PARTS:
            raise ReplyMalformed(f"a reply has at most {MAX_PARTS} elements")
        self.found.append(element)


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN else name[:_SHOWN] + "..."
