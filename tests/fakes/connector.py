"""A connector that answers as told, and hands receipts over when told."""

from collections.abc import Sequence
from typing import Literal

from ringback.carriers.port import (
    Accepted,
    Awaiting,
    InboundSink,
    Outbound,
    Receipt,
    ReceiptSink,
    Snapshot,
    SubmitOutcome,
)
from ringback.model.status import Status


class ScriptedConnector:
    """Implements ``carriers.port.Connector``; by default it accepts everything."""

    carries = frozenset({"sms", "mms"})

    def __init__(self, name: str = "scripted") -> None:
        self.name = name
        self.submitted: list[Outbound] = []
        self.resumed: list[Awaiting] = []
        self.outcomes: list[SubmitOutcome] = []
        self.sink: ReceiptSink | None = None
        self.inbound_sink: InboundSink | None = None
        self.state: Literal["up", "connecting", "down", "stopped"] = "up"
        self.rebinds = 0

    async def submit(self, message: Outbound) -> SubmitOutcome:
        """Give the next scripted outcome, else accept under ``ref-<n>``."""
        self.submitted.append(message)
        if self.outcomes:
            return self.outcomes.pop(0)
        return Accepted(carrier_refs=(f"ref-{len(self.submitted)}",), mcc="310", mnc="004", network="Example")

    def deliver_receipts_to(self, sink: ReceiptSink) -> None:
        """Remember the sink."""
        self.sink = sink

    def deliver_inbound_to(self, sink: InboundSink) -> None:
        """Remember the sink."""
        self.inbound_sink = sink

    def resume(self, awaiting: Sequence[Awaiting]) -> None:
        """Remember what was open."""
        self.resumed.extend(awaiting)

    def snapshot(self) -> Snapshot:
        """Tell the state that a test has set."""
        return Snapshot(state=self.state, since_us=0)

    def rebind(self) -> None:
        """Count."""
        self.rebinds += 1

    async def run(self) -> None:
        """Nothing to keep up."""

    def stop(self) -> None:
        """Nothing to stop."""


def receipt(
    ref: str, status: Status = Status.DELIVERED, error_code: str = "000", *, connector: str = "scripted"
) -> Receipt:
    """Make a receipt of a scripted connector."""
    return Receipt(connector=connector, carrier_ref=ref, status=status, error_code=error_code, detail=f"stat:{status}")
