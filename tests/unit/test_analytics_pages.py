"""What the analytics pages work out without asking anybody: addresses, changes, heat, exported values."""

import pytest

from ringback.analytics.figures import Cell, Heatmap
from ringback.store.narrowing import Narrowing, NoReceipt
from ringback.web.dashboard import present
from ringback.web.dashboard.analytics_address import Address, read_address
from ringback.web.dashboard.analytics_export import as_question
from ringback.web.dashboard.analytics_grid import Column, Grid, Row, pieces
from ringback.web.dashboard.analytics_heat import LEVELS, heat, short
from ringback.web.dashboard.analytics_words import MINUS, change, points
from ringback.web.dashboard.listing import Wanted, read_wanted
from tests.fakes.messages import message

HERE = read_address("delivery", [("period", "7d"), ("country", "IN"), ("by", "carrier"), ("sender", " ")])


def test_an_address_keeps_everything_in_its_query() -> None:
    assert HERE.url() == "/dashboard/analytics/delivery?period=7d&country=IN&by=carrier"
    assert HERE.to("").url() == "/dashboard/analytics?period=7d&country=IN"
    assert HERE.where("country", "US").values("country") == ["IN", "US"]
    assert HERE.where("country", "IN") == HERE
    assert HERE.unfiltered().url() == "/dashboard/analytics/delivery?period=7d&by=carrier"
    assert HERE.during("24h").first("period") == ""
    assert Address("").part("export").url() == "/dashboard/analytics/overview/export"


def test_each_chip_takes_one_filter_off() -> None:
    two = HERE.where("country", "US")
    assert [chip.value for chip in two.chips()] == ["IN", "US"]
    assert two.chips()[0].without == "/dashboard/analytics/delivery?period=7d&by=carrier&country=US"


def test_times_of_its_own_stand_instead_of_a_period() -> None:
    own = HERE.having(since="2026-01-01", period="")
    assert (HERE.period, own.period) == ("7d", "")
    assert own.during("30d").url().endswith("country=IN&by=carrier&period=30d")


@pytest.mark.parametrize(
    ("now", "before", "good", "said"),
    [
        (110, 100, 1, ("+10.0 %", "better")),
        (110, 100, -1, ("+10.0 %", "worse")),
        (90, 100, 0, (f"{MINUS}10.0 %", "neutral")),
        (100, 100, 1, ("as before", "neutral")),
        (2_000, 100, 0, ("+20 times", "neutral")),
        (1, 0, 1, None),
        (None, 1, 1, None),
    ],
)
def test_changes_of_quantities(now: int | None, before: int, good: int, said: tuple[str, str] | None) -> None:
    found = change(now, before, good=good)
    assert (None if found is None else (found.text, found.tone)) == said


def test_changes_of_rates_are_points() -> None:
    assert points(0.95, 0.97, good=1) is not None
    assert points(0.95, 0.97, good=1).text == f"{MINUS}2.0 points"  # type: ignore[union-attr]
    assert points(None, 0.97) is None


@pytest.mark.parametrize(
    ("amount", "said"), [(0, "0.00"), (123_456_789, "1,234.57"), (550, "0.01"), (5, "0.00005"), (-550_000, "-5.50")]
)
def test_money_is_written_in_whole_cents_unless_there_is_none(amount: int, said: str) -> None:
    assert present.money(amount) == said


def test_a_bar_has_a_piece_for_each_count() -> None:
    assert [(each.name, each.x, each.width) for each in pieces([("a", 3), ("b", 0), ("c", 1)])] == [
        ("a", 0, 75),
        ("c", 75, 25),
    ]
    assert pieces([("a", 0)]) == ()


def cells(*accepted: int) -> Heatmap:
    fields = dict.fromkeys(Cell.__struct_fields__, 0) | dict.fromkeys(
        ("delivery_rate", "dlr_rate", "strict_rate", "no_dlr_rate"), 0.5
    )
    counts = [*accepted, *[0] * (168 - len(accepted))]
    return Heatmap(
        cells=tuple(
            Cell(**fields | {"accepted": count, "weekday": hour // 24, "hour": hour % 24})
            for hour, count in enumerate(counts)
        )
    )


def test_heat_goes_from_nothing_to_the_most() -> None:
    found = heat(cells(0, 1, 50, 100), "accepted")
    assert [cell.level for cell in found.rows[0][:4]] == [0, 1, 4, LEVELS]
    assert (found.low, found.high) == ("0", "100")
    assert len(found.rows) == 7
    assert heat(cells(5, 9), "delivery_rate").rows[0][1].text == "50"


@pytest.mark.parametrize(("value", "said"), [(950, "950"), (1_234, "1.2k"), (34_000, "34k"), (1_200_000, "1.2M")])
def test_counts_in_cells_are_short(value: int, said: str) -> None:
    assert short(value) == said


def test_exported_values_have_types() -> None:
    columns = [Column(name="sender", label="", kind="text"), Column(name="cost", label="", kind="money")]
    grid = Grid(name="x", title="", columns=columns, rows=[Row(values=("=1", 550)), Row(values=(None, None))])
    sql, given = as_question(grid)
    assert sql == (
        'SELECT unnest(CAST(? AS VARCHAR[]))::VARCHAR AS "sender", '
        'unnest(CAST(? AS VARCHAR[]))::DECIMAL(18, 5) AS "cost"'
    )
    assert given == [["=1", None], ["0.00550", None]]


class _Params(dict[str, list[str]]):
    """As starlette has them."""

    def getlist(self, name: str) -> list[str]:
        return self.get(name, [])


def test_the_message_list_understands_links_of_the_analytics() -> None:
    wanted = read_wanted(  # type: ignore[arg-type]
        _Params(status=["pending"], country=["IN", "US"], carrier=["none"], since=["2026-01-31T12:00"], until=["soon"])
    )
    assert wanted.status == "queued,sent"
    assert wanted.country == "IN,US"
    assert wanted.narrowing(NoReceipt(1)) == Narrowing(
        status=("queued", "sent"), country=("IN", "US"), carrier=("none",)
    )
    assert wanted.times() == (1_769_860_800_000_000, None)
    assert wanted.until == ""


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        (Wanted(country="IN,US"), {"country": "US"}),
        (Wanted(carrier="310-260"), {"mcc": "310", "mnc": "260"}),
        (Wanted(carrier="none"), {"mcc": None, "mnc": None}),
        (Wanted(sender="Acme"), {"src": "Acme"}),
        (Wanted(until="2026-01-31"), {"queued_at_us": 1_764_000_000_000_000}),
        (Wanted(route="none"), {"route": None}),
    ],
)
def test_a_live_list_takes_what_its_filters_take(wanted: Wanted, changes: dict[str, object]) -> None:
    assert wanted.takes(message(**changes), NoReceipt(1))


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        (Wanted(country="IN"), {"country": "US"}),
        (Wanted(carrier="none"), {"mcc": "310", "mnc": "260"}),
        (Wanted(sender="15005550100"), {"src": "15005550100", "direction": "inbound", "log": "false"}),
        (Wanted(since="2026-01-31"), {"queued_at_us": 1_764_000_000_000_000}),
    ],
)
def test_a_live_list_leaves_out_the_others(wanted: Wanted, changes: dict[str, object]) -> None:
    assert not wanted.takes(message(**changes), NoReceipt(1))


def test_the_message_list_knows_messages_without_a_receipt() -> None:
    wanted = read_wanted({"status": "no_dlr,failed"})
    assert wanted.query() == "status=no_dlr%2Cfailed"
    assert wanted.narrowing(NoReceipt(7, ("US",))) == Narrowing(status=("failed",), no_receipt=NoReceipt(7, ("US",)))
    assert read_wanted({"status": "sent"}).narrowing(NoReceipt(7)) == Narrowing(status=("sent",))
