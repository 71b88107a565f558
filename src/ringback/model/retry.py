"""When a callback is tried again (contract section 4.1), and whose word on that counts.

A plan may come from the message, the endpoint, the account and the settings; the most specific one holds. Those that
come with a message are fixed when it is accepted. In the store a plan is a JSON list of seconds.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Self, TypeGuard

import msgspec

from ringback.model.errors import InvalidRequest

MAX_DELAYS: Final = 20
LONGEST_DELAY_S: Final = 86_400
NO_DELAYS: Final = "none"
"""How a text says that there is one attempt only."""


class RetryPlan(msgspec.Struct, frozen=True):
    """Delays after each failed attempt, in seconds; when they are used up, the callback is given up.

    ``PLIVO`` is the contract's: one attempt and up to three more.
    """

    delays_s: tuple[float, ...]

    @classmethod
    def of(cls, delays_s: Sequence[object], *, name: str) -> Self:
        """Build a plan from what somebody asks for under ``name``. Raises ``InvalidRequest``."""
        sound = [float(delay_s) for delay_s in delays_s if _is_delay(delay_s)]
        if len(sound) < len(delays_s) or len(sound) > MAX_DELAYS:
            raise InvalidRequest(
                f"{name} must be a list of up to {MAX_DELAYS} numbers of seconds, "
                f"each above 0 and at most {LONGEST_DELAY_S}"
            )
        return cls(tuple(sound))

    @classmethod
    def of_text(cls, text: str, *, name: str) -> Self:
        """Build a plan from seconds with commas between, or "none". Raises ``InvalidRequest``."""
        if text.strip().lower() == NO_DELAYS:
            return cls(())
        return cls.of([_number(part) for part in text.split(",")], name=name)

    def stored(self) -> str:
        """Return the plan as it is stored."""
        return msgspec.json.encode(self.delays_s).decode()

    def next_due_at_us(self, attempts_made: int, last_due_at_us: int, now_us: int) -> int | None:
        """Say when to try again after ``attempts_made`` failed attempts, or ``None`` to give up.

        The plan counts from the time the last attempt started, ``last_due_at_us`` being when it was due.
        An attempt that started late (the process was down) moves the ones after it, so that two attempts
        are never closer together than the plan says.
        """
        if attempts_made > len(self.delays_s):
            return None
        return max(last_due_at_us, now_us) + round(self.delays_s[attempts_made - 1] * 1_000_000)

    def skip_missed(self, attempts_made: int, planned_at_us: int, until_us: int) -> tuple[int, int | None]:
        """Use up the attempts that fell due before ``until_us`` and were not made.

        Returns how many attempts count as made then, and when the next is due: ``None`` when none is left.
        """
        while planned_at_us < until_us:
            attempts_made += 1
            if attempts_made > len(self.delays_s):
                return attempts_made, None
            planned_at_us += round(self.delays_s[attempts_made - 1] * 1_000_000)
        return attempts_made, planned_at_us


PLIVO: Final = RetryPlan(delays_s=(60.0, 120.0, 240.0))


@lru_cache(maxsize=1024)
def stored_plan(stored: str) -> RetryPlan:
    """Read a plan as it is stored."""
    return RetryPlan(delays_s=msgspec.json.decode(stored, type=tuple[float, ...]))


def most_specific(*stored: str | None, default: RetryPlan) -> RetryPlan:
    """Return the first plan that there is, in the order message, endpoint, account; else the default."""
    found = next((each for each in stored if each is not None), None)
    return default if found is None else stored_plan(found)


def _is_delay(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_DELAY_S


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
