import msgspec
import pytest

from ringback.dialect import callbacks, records, times
from ringback.model.errors import InvalidRequest
from tests.fakes.messages import QUEUED_AT_US, message

NOW_US = 1_764_000_000_000_000


def test_types_that_strict_sdks_demand() -> None:
    record = records.message_record(message(error_code="000", status="delivered", units=3))
    for name in ("error_code", "total_amount", "total_rate", "carrier_fees", "message_time", "log"):
        assert isinstance(record[name], str), name
    assert record["units"] == 3
    assert record["total_amount"] == "0.01650"
    assert record["message_time"] == "2025-11-24 16:00:00.000000+00:00"
    assert "text" not in record


def test_log_false_masks_the_number() -> None:
    assert records.message_record(message(log="false"))["to_number"] == "141XXXXX123"
    assert records.message_record(message(log="content_only"))["to_number"] == "141XXXXX123"
    assert records.message_record(message(log="number_only"))["to_number"] == "14155550123"


def test_a_list_without_a_time_means_the_last_day() -> None:
    query = records.parse_list({}, now_us=NOW_US)
    assert (query.after_us, query.before_us, query.limit, query.offset) == (NOW_US - records.DAY_US, None, 20, 0)


@pytest.mark.parametrize(
    ("params", "after_us", "before_us"),
    [
        ({"message_time__gte": "1970-01-01 00:01"}, 60_000_000, None),
        ({"message_time__gt": "1970-01-01 00:01"}, 60_000_001, None),
        ({"message_time__lt": "1970-01-01 00:01:01.5"}, 0, 61_500_000),
        ({"message_time__lte": "1970-01-01 00:01:01.5"}, 0, 61_500_001),
        ({"message_time": "1970-01-01 00:01"}, 60_000_000, 120_000_000),
        ({"message_time": "1970-01-01 00:01:00"}, 60_000_000, 61_000_000),
    ],
)
def test_time_windows(params: dict[str, str], after_us: int, before_us: int | None) -> None:
    query = records.parse_list(params, now_us=NOW_US)
    assert (query.after_us, query.before_us) == (after_us, before_us)


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "21"},
        {"limit": "0"},
        {"limit": "x"},
        {"offset": "-1"},
        {"offset": "٣"},
        {"message_time": "yesterday"},
        {"message_time__gt": "2024-02-31 10:00"},
        {"subaccount": "nobody"},
    ],
)
def test_bad_filters_are_refused(params: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        records.parse_list(params, now_us=NOW_US)


def test_page_links_are_relative_and_keep_the_filters() -> None:
    query = records.parse_list({"message_state": "sent", "limit": "5", "offset": "5"}, now_us=NOW_US)
    meta = records.page_meta("/v1/Account/MA/Message/", query, total=11)
    assert meta == {
        "limit": 5,
        "offset": 5,
        "next": "/v1/Account/MA/Message/?message_state=sent&limit=5&offset=10",
        "previous": "/v1/Account/MA/Message/?message_state=sent&limit=5&offset=0",
        "total_count": 11,
    }
    assert records.page_meta("/m/", records.parse_list({}, now_us=NOW_US), total=20)["next"] is None


PRESENT = {
    "queued": set(),
    "sent": {"SentTime", "MCC", "MNC"},
    "delivered": {"SentTime", "DeliveryReportTime", "MCC", "MNC", "ErrorCode"},
    "undelivered": {"SentTime", "DeliveryReportTime", "MCC", "MNC", "ErrorCode"},
    "failed": {"ErrorCode"},
}
ALWAYS = {
    "MessageUUID", "ParentMessageUUID", "PartInfo", "From", "To", "Type", "Status", "Units", "TotalRate",
    "TotalAmount", "Sequence", "MessageTime", "QueuedTime", "requester_ip", "PowerpackUUID",
}  # fmt: skip


@pytest.mark.parametrize("status", PRESENT)
def test_callback_parameters_by_status(status: str) -> None:
    sent = {"sent_at_us": QUEUED_AT_US + 1_000_000, "mcc": "310", "mnc": "004"} if "SentTime" in PRESENT[status] else {}
    final = {"final_at_us": QUEUED_AT_US + 3_500_000, "error_code": "30"} if "ErrorCode" in PRESENT[status] else {}
    params = dict(callbacks.status_params(message(status=status, **sent, **final)))
    assert set(params) == ALWAYS | PRESENT[status]
    assert params["MessageTime"] == "2025-11-24 16:00:00.000000"


def test_a_callback_reads_back() -> None:
    params = dict(callbacks.status_params(message(status="sent", sequence=2, mcc="310", mnc="004")))
    report = callbacks.read_status(params)
    assert (report.message_uuid, report.status, report.sequence) == (params["MessageUUID"], "sent", 2)
    assert (report.mcc, report.mnc, report.error_code, report.total_amount) == ("310", "004", None, "0.00550")


def test_everything_but_four_parameters_is_optional() -> None:
    bare = {"MessageUUID": "x", "Status": "Delivered", "From": "1", "To": "2", "Sequence": "9" * 30, "Units": "one"}
    assert callbacks.missing_params(bare) == []
    report = callbacks.read_status(bare)
    assert (report.status, report.sequence, report.units) == ("delivered", None, None)
    assert callbacks.missing_params({"Status": "sent", "To": ""}) == ["MessageUUID", "From", "To"]


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://example.com/a?b=1", "https://example.com"),
        ("http://user:secret@example.com:8080/a", "http://example.com:8080"),
    ],
)
def test_endpoint_is_scheme_host_and_port(url: str, endpoint: str) -> None:
    assert callbacks.endpoint_of(url) == endpoint


def test_get_keeps_the_urls_own_query() -> None:
    assert callbacks.with_query("http://h/p?a=1#frag", [("To", "+1 2")]) == "http://h/p?a=1&To=%2B1+2"
    assert callbacks.with_query("http://h/p", [("A", "ü")]) == "http://h/p?A=%C3%BC"


def test_filter_times() -> None:
    assert times.filter_time_us("2024-05-01 10:00") == times.filter_time_us("2024-05-01 10:00:00.000")
    assert times.filter_time_us("2024-05-01T10:00") is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("message_direction", ["outgoing", "OUTBOUND"]),
        ("message_state", ["gone"]),
        ("message_type", ["fax"]),
        ("error_code", ["x", "-1", "1" * 9]),
        ("from_number", ["+++", "name that is too long"]),
        ("to_number", ["!"]),
        ("from", ["!"]),
        ("to", ["!"]),
        ("destination_country_iso2", ["USA", "1"]),
        ("tendlc_registration_status", ["maybe"]),
        ("conversation_origin", ["spam"]),
        ("subaccount", ["SA1"]),
        ("limit", ["21", "0", "-1", "1.5", "x"]),
        ("offset", ["-1", "1000001", "x"]),
        ("message_time", ["2024-05-01", "2024-05-01T10:00", "now"]),
        ("message_time__gt", ["2024-13-01 10:00"]),
        ("message_time__gte", ["x"]),
        ("message_time__lt", ["2024-05-01 25:00"]),
        ("message_time__lte", ["2024-05-01 10:00:00.1234567"]),
    ],
)
def test_a_bad_filter_is_refused_by_its_name(name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(InvalidRequest, match=rf"^{name} "):
            records.parse_list({name: value}, now_us=NOW_US)
    assert records.parse_list({name: ""}, now_us=NOW_US) == msgspec.structs.replace(
        records.parse_list({}, now_us=NOW_US), given={} if name in {"limit", "offset"} else {name: ""}
    )


@pytest.mark.parametrize(
    ("params", "equal"),
    [
        ({"message_direction": "inbound"}, {"direction": "inbound"}),
        ({"message_state": "read"}, {"status": "read"}),
        ({"message_type": "mms"}, {"type": "mms"}),
        ({"error_code": "000"}, {"error_code": "000"}),
        ({"from_number": "+15005550100", "to": "15005550101"}, {"src": "15005550100", "dst": "15005550101"}),
        ({"from": "Ringback", "to_number": "+1 500 555 0101"}, {"src": "Ringback", "dst": "15005550101"}),
        ({"destination_country_iso2": "gb"}, {"country": "GB"}),
    ],
)
def test_filters_are_values_of_messages(params: dict[str, str], equal: dict[str, str]) -> None:
    query = records.parse_list(params, now_us=NOW_US)
    assert (query.equal, query.is_empty) == (equal, False)


@pytest.mark.parametrize(
    "params",
    [
        {"tendlc_campaign_id": "C1"},
        {"tendlc_registration_status": "registered"},
        {"conversation_id": "c"},
        {"conversation_origin": "service"},
    ],
)
def test_what_no_message_has_finds_none(params: dict[str, str]) -> None:
    assert records.parse_list(params, now_us=NOW_US).is_empty


def test_the_window_reaches_back_as_far_as_messages_are_kept() -> None:
    query = records.parse_list({"message_time__gte": "2001-01-01 00:00"}, now_us=NOW_US, oldest_us=123_000_000)
    assert query.after_us > 123_000_000
    assert records.parse_list({"message_time__lt": "2030-01-01 00:00"}, now_us=NOW_US, oldest_us=5).after_us == 5
