"""How the dashboard writes and draws facts: pure functions."""

import pytest

from ringback.model.latency import bucket_of
from ringback.store.narrowing import NoReceipt
from ringback.store.rollups import HOUR_US, Summary
from ringback.web.dashboard import present
from ringback.web.dashboard.chart import HEIGHT, ceiling, draw
from ringback.web.dashboard.listing import Wanted, read_wanted
from ringback.web.dashboard.overview import figures
from tests.fakes.messages import message

SECOND_US = 1_000_000


@pytest.mark.parametrize(
    ("duration_us", "text"),
    [
        (0, "0.0 ms"),
        (9_949, "9.9 ms"),
        (12_000, "12 ms"),
        (999_400, "999 ms"),
        (999_600, "1.0 s"),
        (9_960_000, "10 s"),
        (59_600_000, "1 m 00 s"),
        (125 * SECOND_US, "2 m 05 s"),
        (3_600 * SECOND_US, "1 h 00 m"),
        (11_520 * SECOND_US, "3 h 12 m"),
        (187_200 * SECOND_US, "2 d 4 h"),
        (-12_000, "-12 ms"),
    ],
)
def test_durations_are_short(duration_us: int, text: str) -> None:
    assert present.duration(duration_us) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.00001, "0.1 %"), (0.973, "97.3 %"), (0.99999, "99.9 %"), (1, "100 %")]
)
def test_only_all_is_all(share: float, text: str) -> None:
    assert present.percent(share) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("a\r\nb\rc", "a\u240d\nb\u240dc"),
        ("\x00\x1b[2J\x7f", "\u2400\u241b[2J\u2421"),
        ("pay\u202egpj.exe\u200b\ufeff\x85", "pay⟨U+202E⟩gpj.exe⟨U+200B⟩⟨U+FEFF⟩⟨U+0085⟩"),
        ("Grüezi 📦", "Grüezi 📦"),
    ],
)
def test_nothing_hides_in_a_text(text: str, shown: str) -> None:
    assert present.visible(text) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/a@b?c=@d", "https://example.com/a@b?c=@d"),
        ("https://u:p@example.com:8443/x", "https://u:(not shown)@example.com:8443/x"),
        ("http://u@example.com", "http://u:(not shown)@example.com"),
        ("not a url", "not a url"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert present.safe_url(url) == shown


def test_long_bodies_are_cut() -> None:
    content = b"\xff" + b"x" * present.BODY_SHOWN
    shown = present.body(content)
    assert (shown.size, shown.shown) == (present.BODY_SHOWN + 1, present.BODY_SHOWN)
    assert shown.text.startswith("\\xffxxx")


def test_parameters_come_from_query_and_form() -> None:
    form = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
    assert present.form_pairs("/h?a=1&b=", form, b"c=%C3%A9&a=2") == [("a", "1"), ("b", ""), ("c", "é"), ("a", "2")]
    assert present.form_pairs("/h?a=1", [("content-type", "application/json")], b"c=3") == [("a", "1")]
    assert present.form_pairs("/h", form, b"&".join([b"a=1"] * 201)) == []


@pytest.mark.parametrize(("highest", "top"), [(0, 1), (1, 1), (3, 4), (9, 10), (11, 20), (420, 600), (81_000, 100_000)])
def test_the_scale_ends_on_a_round_number(highest: int, top: int) -> None:
    assert ceiling(highest) == top


def test_the_chart_stacks_and_fills_gaps() -> None:
    hours = [(HOUR_US, "delivered", 6), (HOUR_US, "failed", 2), (3 * HOUR_US, "queued", 4), (9 * HOUR_US, "sent", 99)]
    chart = draw(hours, first_hour_us=HOUR_US, last_hour_us=4 * HOUR_US)
    assert [bar.total for bar in chart.bars] == [8, 0, 4, 0]
    assert chart.statuses == ["delivered", "queued", "failed"]
    assert list(chart.ticks) == [8, 4, 0]
    low, high = chart.bars[0].parts
    assert (low.status, low.y, low.height) == ("delivered", 25, 75)
    assert (high.status, high.y, high.height) == ("failed", 0, 25)
    assert low.y + low.height == HEIGHT
    assert list(chart.labels) == ["01:00", "02:00", "03:00", "04:00"]


@pytest.mark.parametrize(("hours", "labels"), [(25, 8), (169, 7)])
def test_labels_leave_room_for_each_other(hours: int, labels: int) -> None:
    for start in range(24):
        chart = draw([], first_hour_us=start * HOUR_US, last_hour_us=(start + hours - 1) * HOUR_US)
        assert labels - 1 <= sum(label != "" for label in chart.labels) <= labels


def test_figures_name_their_denominators() -> None:
    counts = {"delivered": 90, "undelivered": 6, "failed": 4, "sent": 20, "queued": 5}
    latency = {bucket_of(2 * SECOND_US): 89, bucket_of(60 * SECOND_US): 1}
    known = figures(Summary(counts, {"30": 6, "420": 4}, latency))
    assert (known.accepted, known.decided, known.rate, known.unreported) == (125, 100, 0.9, 20)
    assert known.p50_us == pytest.approx(2 * SECOND_US, rel=0.03)
    assert known.p95_us == pytest.approx(2 * SECOND_US, rel=0.03)
    assert [(error.code, error.share) for error in known.errors] == [("30", 0.6), ("420", 0.4)]
    none = figures(Summary({"sent": 3}, {}, {}))
    assert (none.accepted, none.decided, none.rate, none.p50_us) == (3, 0, None, None)


NO_RECEIPT_BY_NOW = NoReceipt(sent_before_us=1)


def test_a_list_takes_what_its_filters_say() -> None:
    wanted = read_wanted({"status": "queued", "number": "+1 (415) 555-0123", "error": " "})
    assert wanted == Wanted(status="queued", number="14155550123")
    assert wanted.query(after="7") == "status=queued&number=14155550123&after=7"
    assert wanted.takes(message(), NO_RECEIPT_BY_NOW)
    assert not wanted.takes(message(status="sent"), NO_RECEIPT_BY_NOW)
    assert not wanted.takes(message(log="false"), NO_RECEIPT_BY_NOW)
    assert not wanted.takes(message(dst="14155550124"), NO_RECEIPT_BY_NOW)
    assert Wanted(number="15005550100").takes(message(log="false"), NO_RECEIPT_BY_NOW)
    assert not Wanted(number="15005550100").takes(message(log="false", direction="inbound"), NO_RECEIPT_BY_NOW)
    assert not Wanted(error="30").takes(message(), NO_RECEIPT_BY_NOW)
