"""What a bin answers: a script of steps, and the pure decision which of them a request gets.

A script is a list of steps, each for so many requests; the last one stays, or the list begins anew. Steps are counted
over all requests of the bin, or for each callback by itself: ``500x2,200`` with ``per`` ``callback`` refuses every
callback twice and takes its third attempt.

Two ways of writing them: JSON, which can say everything, and a line for the command line and forms (``parse_line``).
"""

import base64
import binascii
import re
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from ringback.model.errors import InvalidRequest

Kind: TypeAlias = Literal["answer", "hang", "reset", "slow"]
"""``slow`` answers with its body spread over ``seconds``; ``hang`` says nothing for ``seconds``, then hangs up."""

MAX_STEPS: Final = 50
MAX_SCRIPT: Final = 65_536
MAX_DELAY_S: Final = 300.0
HANG_S: Final = 60.0
SLOW_S: Final = 10.0
SLOW_BODY: Final = b"slowly\n"

Delay = Annotated[float, msgspec.Meta(ge=0, le=MAX_DELAY_S)]


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What some requests get."""

    kind: Kind = "answer"
    times: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    body_base64: str = ""
    """Instead of ``body``, for what is no text."""
    delay_s: Delay = 0.0
    """Before anything is answered."""
    seconds: Delay | None = None
    """For ``hang`` and ``slow``."""

    @property
    def content(self) -> bytes:
        """The body as bytes."""
        return base64.b64decode(self.body_base64) if self.body_base64 else self.body.encode()


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Steps in order, and how they are counted."""

    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=MAX_STEPS)]
    per: Literal["bin", "callback"] = "bin"
    then: Literal["stay", "repeat"] = "stay"
    """After the last step: stay with it, or begin anew."""


DEFAULT: Final = Script(steps=(Step(),))

# What would change how a browser treats pages of the same host, or how the connection is framed.
FORBIDDEN_HEADERS: Final = frozenset(
    {
        "connection", "content-length", "content-security-policy", "content-security-policy-report-only",
        "clear-site-data", "keep-alive", "proxy-connection", "service-worker-allowed", "set-cookie", "set-cookie2",
        "strict-transport-security", "trailer", "transfer-encoding", "upgrade", "x-content-type-options", "alt-svc",
    }
)  # fmt: skip
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")


def decide(script: Script, *, position: int, attempt: int) -> Step:
    """Return the step for a request.

    ``position`` is how many requests the script has had before this one, ``attempt`` which of the requests that say
    the same this is, from 1.
    """
    at = position if script.per == "bin" else attempt - 1
    if script.then == "repeat":
        at %= sum(step.times for step in script.steps)
    for step in script.steps:
        if at < step.times:
            return step
        at -= step.times
    return script.steps[-1]


def decode(text: str | None) -> Script:
    """Read a stored script."""
    return DEFAULT if text is None else _decoder.decode(text)


def encode(script: Script | None) -> str | None:
    """Write a script for the store."""
    return None if script is None else msgspec.json.encode(script).decode()


def read(given: object) -> Script | None:
    """Read a script as somebody gives it: JSON, its line, or ``None`` or nothing for 200. Raises ``InvalidRequest``."""
    if given is None or given == "":
        return None
    if isinstance(given, str):
        text = given.strip()
        if len(text) > MAX_SCRIPT:
            raise InvalidRequest(f"script: at most {MAX_SCRIPT} characters")
        if not text.startswith(("{", "[")):
            return parse_line(text)
        try:
            given = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"script: is no JSON: {error}") from error
    return _checked(given)


def _checked(given: object) -> Script:
    if isinstance(given, list):
        given = {"steps": given}
    if isinstance(given, dict) and isinstance(given.get("steps"), list):
        given = {**given, "steps": [_plain(step) for step in given["steps"]]}
    try:
        script = msgspec.convert(given, Script)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"script: {error}") from error
    for step in script.steps:
        _check(step)
    if len(msgspec.json.encode(script)) > MAX_SCRIPT:
        raise InvalidRequest(f"script: at most {MAX_SCRIPT} characters")
    return script


def _plain(step: object) -> object:
    """Take headers as an object too, ``location`` for the header of a redirect."""
    if not isinstance(step, dict):
        return step
    fields: dict[str, Any] = dict(step)
    headers = fields.get("headers", [])
    if isinstance(headers, dict):
        headers = list(headers.items())
    if "location" in fields and isinstance(headers, list):
        headers = [*headers, ("Location", fields.pop("location"))]
        fields.setdefault("status", 302)
    return {**fields, "headers": headers} if headers else fields


def _check(step: Step) -> None:
    for name, value in step.headers:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidRequest(f"script: {name[:64]!r} is no header that can be sent")
        if name.lower() in FORBIDDEN_HEADERS:
            raise InvalidRequest(f"script: the header {name} is not for scripts to set")
    if step.body_base64:
        if step.body:
            raise InvalidRequest("script: body and body_base64 exclude each other")
        try:
            base64.b64decode(step.body_base64, validate=True)
        except binascii.Error as error:
            raise InvalidRequest("script: body_base64 is no base64") from error
    if step.status in {204, 205, 304} and (step.body or step.body_base64):
        raise InvalidRequest(f"script: an answer {step.status} has no body")


_STEP: Final = re.compile(
    r"(?:(?P<status>[2-5]\d\d)|(?P<kind>hang|reset|slow)(?::(?P<seconds>\d+(?:\.\d+)?))?|redirect:(?P<to>[^\s,]+?))"
    r"(?:@(?P<delay>\d+(?:\.\d+)?))?(?:x(?P<times>\d{1,7}))?"
)
LINE_HINT: Final = "write such as 500x2,200 or 429x3,hang:20,reset,slow:5,redirect:/new,200@1.5"


def parse_line(line: str) -> Script:
    """Read steps with commas between, perhaps after ``callback:``, with ``...`` at the end to begin anew.

    A step is a status, ``hang[:SECONDS]``, ``reset``, ``slow[:SECONDS]`` or ``redirect:URL``; ``@SECONDS`` after it
    is a delay, ``xTIMES`` how many requests it is for. Raises ``InvalidRequest``.
    """
    text = line.strip()
    per = "callback" if text.startswith("callback:") else "bin"
    text = text.removeprefix("callback:").strip()
    then = "repeat" if text.endswith("...") else "stay"
    text = text.removesuffix("...").rstrip(", ")
    return _checked({"steps": [_step(part.strip()) for part in text.split(",")], "per": per, "then": then})


def _step(text: str) -> dict[str, Any]:
    found = _STEP.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"script: {text[:64]!r} is no step; {LINE_HINT}")
    fields: dict[str, Any] = {"times": int(found["times"] or 1), "delay_s": float(found["delay"] or 0)}
    if found["status"]:
        fields["status"] = int(found["status"])
    elif found["to"]:
        fields["location"] = found["to"]
    else:
        fields["kind"] = found["kind"]
        if found["seconds"]:
            fields["seconds"] = float(found["seconds"])
    return fields


def in_words(script: Script) -> str:
    """Write a script for people."""
    steps = ", then ".join(map(_step_in_words, script.steps))
    begin = " and from the beginning" if script.then == "repeat" else ""
    return f"{'each callback: ' if script.per == 'callback' else ''}{steps}{begin}"


def _step_in_words(step: Step) -> str:
    says = str(step.status)
    if step.kind != "answer":
        seconds = f" {step.seconds:g} s" if step.seconds is not None and step.kind != "reset" else ""
        says = step.kind + seconds
    delay = f" after {step.delay_s:g} s" if step.delay_s else ""
    times = f" x{step.times}" if step.times > 1 else ""
    return says + delay + times


_decoder: Final = msgspec.json.Decoder(Script)
