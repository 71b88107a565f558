"""Receipts of messages that went in several parts: each says something of its part, and together of the whole."""

from collections.abc import Iterable

import msgspec

from ringback.carriers.port import Accepted, PartRejected, Unknown
from ringback.messaging.progress import Change, Progress
from ringback.model.message import Message
from ringback.model.parts import Part, judge_part, overall
from ringback.model.status import Status
from ringback.store import parts
from ringback.store.port import Transaction

FLAG = "part"
"""Of events that say what became of a part, and change nothing about the whole."""


class PartBook:
    """Gathers what receipts say of parts; what follows for their messages goes to ``progress``."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._parts: dict[str, list[Part]] = {}
        self._messages: dict[str, Message] = {}
        self._changed: dict[tuple[str, int], Part] = {}

    def know(self, message: Message, its_parts: Iterable[Part]) -> None:
        """Take in a message as it stands, with its parts."""
        self._messages[message.uuid] = message
        self._parts[message.uuid] = list(its_parts)

    def message(self, uuid: str) -> Message:
        """Return a message as it stands by now."""
        return self._messages[uuid]

    def take(self, uuid: str, carrier_ref: str, receipt: Change) -> None:
        """Apply a receipt for the part of ``uuid`` that the carrier names so."""
        known = self._parts[uuid]
        at, part = next((at, part) for at, part in enumerate(known) if part.carrier_ref == carrier_ref)
        words = f"part {part.part} of {len(known)}: {receipt.detail}"
        said = msgspec.structs.replace(receipt, detail=words)
        if flag := judge_part(part, receipt.status):
            self._progress.flag(self._messages[uuid], said, flag)
            return
        state = "delivered" if receipt.status is Status.DELIVERED else "undelivered"
        known[at] = msgspec.structs.replace(part, state=state, error_code=receipt.error_code)
        self._changed[uuid, part.part] = known[at]
        self.settle(uuid, said)

    def settle(self, uuid: str, said: Change) -> None:
        """Move a message on by what its parts say together; ``said`` is the news."""
        message = self._messages[uuid]
        status, culprit = overall(self._parts[uuid])
        if status is Status.SENT or message.status == status:
            self._progress.flag(message, said, FLAG)
            return
        code = culprit.error_code if culprit else said.error_code
        change = msgspec.structs.replace(said, status=status, error_code=code)
        self._messages[uuid] = self._progress.change(message, change)

    def write(self, tx: Transaction) -> None:
        """Store the parts that have changed."""
        parts.update(tx, self._changed.values())


def parts_of(uuid: str, connector: str, outcome: Accepted | Unknown) -> list[Part]:
    """Return the parts that an outcome tells of; none when the message went as a whole."""
    refs = outcome.carrier_refs if isinstance(outcome, Accepted) else outcome.taken
    rejected = {each.part: each for each in outcome.rejected}
    if len(refs) < 2:
        return []
    return [_part(uuid, connector, number, ref, rejected.get(number)) for number, ref in enumerate(refs, 1)]


def _part(uuid: str, connector: str, number: int, ref: str, rejected: PartRejected | None) -> Part:
    return Part(
        message_uuid=uuid,
        part=number,
        connector=connector,
        carrier_ref=ref or None,
        state="failed" if rejected else "sent" if ref else "unknown",
        error_code=rejected.error_code if rejected else None,
    )


def told(outcome: Accepted | Unknown) -> str | None:
    """Say for the event what became of the parts, where there is something to say."""
    refs = outcome.carrier_refs if isinstance(outcome, Accepted) else outcome.taken
    words = [outcome.detail] if outcome.detail else []
    if len(refs) > 1:
        taken = sum(map(bool, refs))
        words.append(f"{len(refs)} parts" if taken == len(refs) else f"{taken} of {len(refs)} parts taken")
    words += [f"part {each.part} rejected with code {each.error_code}: {each.detail}" for each in outcome.rejected]
    return "; ".join(words) or None
