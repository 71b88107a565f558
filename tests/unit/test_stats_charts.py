"""Charts of the terminal: how they look without colours and with nothing to show."""

import pytest

from ringback.cli.stats_charts import bar, count, duration, heat, percent, sparkline, table


def test_bars_are_drawn_to_an_eighth() -> None:
    assert [bar(share, 4) for share in (0, 0.5, 1, 1 / 32, None, 2)] == ["", "██", "████", "▏", "", "████"]


def test_sparklines_span_least_to_greatest_and_leave_gaps() -> None:
    assert sparkline([0, 7, None, 3.5]) == "▁█ ▅"
    assert sparkline([5, 5]) == "▄▄"
    assert sparkline([None]) == ""
    assert len(sparkline(list(range(121)), 60)) <= 60


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [(None, "-"), (0, "0 ms"), (999, "999 ms"), (1_500, "1.5 s"), (150_000, "2 min"), (7_200_000, "2 h")],
)
def test_durations_have_the_unit_that_suits_them(milliseconds: int | None, written: str) -> None:
    assert duration(milliseconds) == written


def test_numbers_and_rates() -> None:
    assert (percent(None), percent(0.98765)) == ("-", "98.8 %")
    assert count(1_234_567).split() == ["1", "234", "567"]


def test_a_heat_map_has_a_line_a_day_within_80_columns() -> None:
    rows: list[list[float | None]] = [[0.5] * 24 for _ in range(7)]
    rows[0][0], rows[6][23] = 1.0, None
    lines = [line.plain for line in heat(rows, least=0.5, most=1.0)]
    assert len(lines) == 8
    assert lines[1].startswith("Mon  ██··")
    assert lines[7].endswith("··  ")
    assert max(len(line) for line in lines) < 80


def test_numbers_are_never_cut() -> None:
    made = table("who", "messages", rows=[("x" * 200, "1234567890")])
    assert made.columns[1].min_width == 10
