"""What a benchmark says: figures with units, a yardstick of the same run, targets met or missed."""

import json
import sys
from typing import Any, Literal

import msgspec

from benchmarks.processes import machine


class Figure(msgspec.Struct, frozen=True):
    """A value and its unit."""

    value: float
    unit: str


class Target(msgspec.Struct, frozen=True):
    """What a figure should be: at least or at most so much."""

    figure: str
    bound: Literal["at least", "at most"]
    target: float

    def met_by(self, value: float) -> bool:
        """Say whether a value is good enough."""
        return value >= self.target if self.bound == "at least" else value <= self.target


class Report(msgspec.Struct, frozen=True):
    """The result of one benchmark."""

    name: str
    yardstick: dict[str, Any]
    figures: dict[str, Figure]
    targets: list[Target]

    def as_json(self) -> str:
        """Return the report as one line."""
        return json.dumps(
            {
                "benchmark": self.name,
                "machine": machine(),
                "yardstick": self.yardstick,
                "figures": {name: {"value": _rounded(it.value), "unit": it.unit} for name, it in self.figures.items()},
                "targets": {
                    target.figure: {
                        "target": target.target,
                        "bound": target.bound,
                        "value": _rounded(self.figures[target.figure].value),
                        "met": target.met_by(self.figures[target.figure].value),
                    }
                    for target in self.targets
                },
            }
        )

    def as_text(self) -> str:
        """Return the report for people."""
        wanted = {target.figure: target for target in self.targets}
        width = max(map(len, self.figures))
        lines = [f"{self.name}   (yardstick: {json.dumps(self.yardstick)})"]
        for name, figure in self.figures.items():
            line = f"  {name:<{width}}  {_rounded(figure.value):>12,} {figure.unit}"
            if target := wanted.get(name):
                verdict = "met" if target.met_by(figure.value) else "MISSED"
                line += f"   {target.bound} {target.target:,}: {verdict}"
            lines.append(line)
        return "\n".join(lines)


def progress(text: str) -> None:
    """Say what is going on, on standard error."""
    print(text, file=sys.stderr, flush=True)


def median(values: list[float]) -> float:
    """Return the middle value; of an even number, the lower one of the two."""
    return sorted(values)[(len(values) - 1) // 2]


def percentile(values: list[float], share: float) -> float:
    """Return the value that ``share`` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _rounded(value: float) -> float:
    return round(value, 3 if abs(value) < 10 else 1)
