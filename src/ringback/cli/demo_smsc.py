"""The demo's carrier: an SMSC in this process that plays the simulated carrier, and a link to it over real SMPP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal

import msgspec

from ringback.carriers.smsc.fates import Fates
from ringback.carriers.smsc.script import Script
from ringback.carriers.smsc.server import ScriptedSmsc
from ringback.runtime import SystemClock
from ringback.settings import CarrierSettings, RouteSettings, Settings, SimulatorSettings
from ringback.wiring.connectors import simulator_script

CarrierChoice = Literal["smpp", "simulator"]
NAME: Final = "smsc"
SYSTEM_ID: Final = "ringback-demo"
PASSWORD: Final = "demo"  # noqa: S105 - of an SMSC that only this process reaches
ANSWER_S: Final = 45.0
"""Longer than any answer of the simulated carrier takes."""


class DemoCarrier(msgspec.Struct, frozen=True):
    """What the demo sends through."""

    settings: Settings
    """With the carriers and routes that lead there."""
    told: str
    """In words for people."""
    pending: Callable[[], int]
    """How many receipts it still has to give."""


@asynccontextmanager
async def demo_carrier(settings: Settings, choice: CarrierChoice) -> AsyncIterator[DemoCarrier]:
    """Run the SMSC, unless the simulated carrier without a link is wanted. MMS go there in any case."""
    if choice == "simulator":
        yield DemoCarrier(settings, "a simulated carrier", _none)
        return
    clock = SystemClock()
    simulated: SimulatorSettings = settings.simulator
    smsc = ScriptedSmsc(
        # Names that no earlier run has given: its messages are in the same database.
        Script(system_id=SYSTEM_ID, password=PASSWORD, first_id=clock.now_us()),
        clock=clock,
        fates=Fates(simulator_script(simulated), seed=simulated.seed, speed=simulated.speed),
    )
    port = await smsc.open("127.0.0.1", 0)
    running = asyncio.create_task(smsc.run())
    link = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": SYSTEM_ID,
        "password": PASSWORD,
        "quirks": "simulator",
        "window": 500,
        "response_s": ANSWER_S,
    }
    led = msgspec.structs.replace(
        settings,
        carriers=(
            CarrierSettings(name=NAME, kind="smpp", smpp=link),
            CarrierSettings(name="simulator", kind="simulator"),
        ),
        routes=(
            RouteSettings(name="sms", carrier=NAME, type="sms"),
            RouteSettings(name="mms", carrier="simulator", type="mms"),
        ),
    )
    try:
        yield DemoCarrier(led, "a simulated carrier over SMPP", lambda: smsc.pending)
    finally:
        smsc.stop()
        await running


def _none() -> int:
    return 0
