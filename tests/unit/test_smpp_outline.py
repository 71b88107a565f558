"""What operators are shown of a PDU."""

import pytest

from ringback.carriers.smpp import names
from ringback.carriers.smpp.names import RESPONSE, Command
from ringback.carriers.smpp.outline import outline
from ringback.carriers.smpp.pdu import Bind, BindResp, DataSm, MessageResp, Nothing, Pdu, ShortMessage

SECRETS = ("15005550100", "Ringback", "14155550123", "Hello", "secret")
SAR = ((names.SAR_REFERENCE, b"\0\1"), (0x1400, b"abc"))


@pytest.mark.parametrize(
    ("pdu", "told"),
    [
        (
            Pdu(
                Command.SUBMIT_SM,
                7,
                ShortMessage(
                    source="Ringback", dest="14155550123", registered_delivery=1, short_message=b"Hello", tlvs=SAR
                ),
            ),
            (
                "submit_sm #7, 70 bytes, esm_class 0x00, data_coding 0x00, registered_delivery 1, "
                "short_message 5 bytes, sar_msg_ref_num 2 bytes, 0x1400 3 bytes"
            ),
        ),
        (
            Pdu(Command.SUBMIT_SM | RESPONSE, 7, MessageResp(message_id="38601fa")),
            "submit_sm_resp ESME_ROK #7, 24 bytes, message_id 38601fa",
        ),
        (Pdu(Command.SUBMIT_SM | RESPONSE, 7, MessageResp()), "submit_sm_resp ESME_ROK #7, 17 bytes, no message_id"),
        (Pdu(Command.DELIVER_SM | RESPONSE, 9, MessageResp()), "deliver_sm_resp ESME_ROK #9, 17 bytes"),
        (
            Pdu(Command.SUBMIT_SM | RESPONSE, 7, Nothing(), 0x58),
            "submit_sm_resp ESME_RTHROTTLED #7, 16 bytes",
        ),
        (
            Pdu(Command.DATA_SM, 8, DataSm(dest="15005550100", esm_class=4, tlvs=((names.MESSAGE_PAYLOAD, b"Hello"),))),
            "data_sm #8, 46 bytes, esm_class 0x04, data_coding 0x00, registered_delivery 0, message_payload 5 bytes",
        ),
        (
            Pdu(Command.BIND_TRANSCEIVER, 1, Bind(system_id="Ringback", password="secret")),
            "bind_transceiver #1, 37 bytes, interface_version 0x34",
        ),
        (
            Pdu(
                Command.BIND_TRANSCEIVER | RESPONSE,
                1,
                BindResp(system_id="Ringback", tlvs=((names.INTERFACE_VERSION, b"\x50"),)),
            ),
            "bind_transceiver_resp ESME_ROK #1, 30 bytes, sc_interface_version 1 bytes",
        ),
        (Pdu(Command.ENQUIRE_LINK, 3), "enquire_link #3, 16 bytes"),
    ],
)
def test_a_pdu_is_told_without_what_it_carries(pdu: Pdu, told: str) -> None:
    assert outline(pdu) == told
    assert not any(secret in told for secret in SECRETS)
