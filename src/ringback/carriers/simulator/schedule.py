"""What is due when: a heap, so that a hundred thousand waiting receipts cost one timer."""

from heapq import heappop, heappush
from itertools import count

from ringback.carriers.port import Receipt


class Schedule:
    """Receipts by the time at which they are due; of two due at one time the one added first goes first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Receipt]] = []
        self._order = count()

    def __len__(self) -> int:
        """How many receipts wait."""
        return len(self._heap)

    def add(self, due_at_us: int, receipt: Receipt) -> bool:
        """Add a receipt; returns whether it is now the one that is due first."""
        heappush(self._heap, (due_at_us, next(self._order), receipt))
        return self._heap[0][2] is receipt

    def due(self, now_us: int, limit: int) -> list[tuple[int, Receipt]]:
        """Take up to ``limit`` receipts that are due, earliest first, each with its due time."""
        taken: list[tuple[int, Receipt]] = []
        while self._heap and len(taken) < limit and self._heap[0][0] <= now_us:
            due_at_us, _, receipt = heappop(self._heap)
            taken.append((due_at_us, receipt))
        return taken

    def next_due_at_us(self) -> int | None:
        """When the next receipt is due; ``None`` when none waits."""
        return self._heap[0][0] if self._heap else None
