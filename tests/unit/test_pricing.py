import pytest

from ringback.model.errors import InvalidRequest
from ringback.model.pricing import COLUMNS, Price, Tariff, read_csv

TABLE = """\
country,network_group,networks,sms_outbound,sms_inbound,sms_carrier_fee,mms_outbound,local_rent
us,,,0.0065,0,0.003,0.018,0.8
US,"Carriers, big",310-260 310-004,0.007,,,,

DE,,,0.09,,,,
"""


def test_a_table_is_read() -> None:
    us, group, germany = read_csv(TABLE)
    assert us == Price(
        country="US", sms_outbound="0.00650", sms_inbound="0.00000", sms_carrier_fee="0.00300", mms_outbound="0.01800",
        local_rent="0.80000",
    )  # fmt: skip
    assert (group.network_group, group.networks, group.sms_outbound) == ("Carriers, big", "310-260 310-004", "0.00700")
    assert germany == Price(country="DE", sms_outbound="0.09000")
    assert read_csv("\ufeffcountry\r\nUS\r\n") == [Price(country="US")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: the column country is missing"),
        ("sms_outbound\n1", "line 1: the column country is missing"),
        ("country,rate\nUS,1", "line 1, column 2: 'rate' is no column here"),
        ("country,country\nUS,US", "line 1, column 2: 'country' is no column here, or there twice"),
        ("country,sms_outbound\nUS,1\nDE", "line 3: there are 1 columns, the first line names 2"),
        ("country,sms_outbound\nUS,1\n\nDE,0.000001", "line 4, column sms_outbound: '0.000001' is no price"),
        ("country,sms_outbound\nUS,-1", "line 2, column sms_outbound: '-1' is no price"),
        ("country\nUSA", "line 2, column country: 'USA' is no ISO 3166 code"),
        ("country\nUS\nDE\nus", "line 4, column country: the same is priced in line 2 already"),
        ("country,network_group,networks\nUS,x,310260", "line 2, column networks: write MCC and MNC as 310-260"),
        ("country,network_group,networks\nUS,,310-260", "line 2, column network_group: networks need the name"),
        ('country\n"US', "line 2: this is no CSV"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(text: str, complaint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_csv(text)
    assert str(caught.value).startswith(complaint)


def test_what_a_message_costs() -> None:
    tariff = Tariff(read_csv(TABLE), default_rate="0.5")
    assert tariff.outbound("US") == ("0.00650", "0.00300")
    assert tariff.outbound("US", "mms") == ("0.01800", None)
    assert tariff.outbound("DE") == ("0.09000", None)
    assert tariff.outbound("DE", "mms") == tariff.outbound("FR") == tariff.outbound("ZZ") == ("0.50000", None)
    assert (tariff.inbound("US"), tariff.inbound("FR")) == ("0.00000", "0.00000")
    assert [group.network_group for group in tariff.groups("US")] == ["Carriers, big"]
    assert tariff.country("FR") == Price(country="FR")


def test_every_column_is_a_field_of_a_price() -> None:
    assert set(COLUMNS) == set(Price.__struct_fields__)
