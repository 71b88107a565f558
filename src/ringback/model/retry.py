"""When a callback is tried again (contract section 4.1)."""

from typing import Final

import msgspec


class RetryPlan(msgspec.Struct, frozen=True):
    """Delays after each failed attempt, in seconds; when they are used up, the callback is given up.

    ``PLIVO`` is the contract's: one attempt and up to three more.
    """

    delays_s: tuple[float, ...]

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
