"""Numbers of SMPP and what they are called: commands (3.4, 5.1.2.1), statuses (5.1.3), parameters (5.3.2)."""

from enum import IntEnum
from typing import Final

RESPONSE: Final = 0x8000_0000
"""Set in the id of a response."""


class Command(IntEnum):
    """Ids of requests; a response has the same with ``RESPONSE``. ``GENERIC_NACK`` is a response to anything."""

    BIND_RECEIVER = 0x1
    BIND_TRANSMITTER = 0x2
    QUERY_SM = 0x3
    SUBMIT_SM = 0x4
    DELIVER_SM = 0x5
    UNBIND = 0x6
    REPLACE_SM = 0x7
    CANCEL_SM = 0x8
    BIND_TRANSCEIVER = 0x9
    OUTBIND = 0xB
    ENQUIRE_LINK = 0x15
    SUBMIT_MULTI = 0x21
    ALERT_NOTIFICATION = 0x102
    DATA_SM = 0x103
    GENERIC_NACK = 0x8000_0000


BINDS: Final = frozenset({Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER})

OK: Final = 0x0
INVALID_LENGTH_OF_MESSAGE: Final = 0x1
INVALID_COMMAND_LENGTH: Final = 0x2
INVALID_COMMAND: Final = 0x3
WRONG_BIND_STATE: Final = 0x4
ALREADY_BOUND: Final = 0x5
SYSTEM_ERROR: Final = 0x8
INVALID_SOURCE: Final = 0xA
INVALID_DESTINATION: Final = 0xB
INVALID_MESSAGE_ID: Final = 0xC
BIND_FAILED: Final = 0xD
INVALID_PASSWORD: Final = 0xE
INVALID_SYSTEM_ID: Final = 0xF
CANCEL_FAILED: Final = 0x11
REPLACE_FAILED: Final = 0x13
QUEUE_FULL: Final = 0x14
INVALID_ESM_CLASS: Final = 0x43
SUBMIT_FAILED: Final = 0x45
INVALID_REPLACE_FLAG: Final = 0x54
THROTTLED: Final = 0x58
INVALID_SCHEDULE: Final = 0x61
INVALID_EXPIRY: Final = 0x62
INVALID_DEFAULT_MESSAGE: Final = 0x63
TEMPORARY_ERROR: Final = 0x64
PERMANENT_ERROR: Final = 0x65
REJECTED: Final = 0x66
INVALID_PARAMETERS: Final = 0xC0
UNKNOWN_ERROR: Final = 0xFF

TRY_LATER: Final = frozenset({QUEUE_FULL, THROTTLED})
"""Statuses that say nothing against the message: the peer wants it later."""

_STATUSES: Final = {
    0x00: "ESME_ROK", 0x01: "ESME_RINVMSGLEN", 0x02: "ESME_RINVCMDLEN", 0x03: "ESME_RINVCMDID",
    0x04: "ESME_RINVBNDSTS", 0x05: "ESME_RALYBND", 0x06: "ESME_RINVPRTFLG", 0x07: "ESME_RINVREGDLVFLG",
    0x08: "ESME_RSYSERR", 0x0A: "ESME_RINVSRCADR", 0x0B: "ESME_RINVDSTADR", 0x0C: "ESME_RINVMSGID",
    0x0D: "ESME_RBINDFAIL", 0x0E: "ESME_RINVPASWD", 0x0F: "ESME_RINVSYSID", 0x11: "ESME_RCANCELFAIL",
    0x13: "ESME_RREPLACEFAIL", 0x14: "ESME_RMSGQFUL", 0x15: "ESME_RINVSERTYP", 0x33: "ESME_RINVNUMDESTS",
    0x34: "ESME_RINVDLNAME", 0x40: "ESME_RINVDESTFLAG", 0x42: "ESME_RINVSUBREP", 0x43: "ESME_RINVESMCLASS",
    0x44: "ESME_RCNTSUBDL", 0x45: "ESME_RSUBMITFAIL", 0x48: "ESME_RINVSRCTON", 0x49: "ESME_RINVSRCNPI",
    0x50: "ESME_RINVDSTTON", 0x51: "ESME_RINVDSTNPI", 0x53: "ESME_RINVSYSTYP", 0x54: "ESME_RINVREPFLAG",
    0x55: "ESME_RINVNUMMSGS", 0x58: "ESME_RTHROTTLED", 0x61: "ESME_RINVSCHED", 0x62: "ESME_RINVEXPIRY",
    0x63: "ESME_RINVDFTMSGID", 0x64: "ESME_RX_T_APPN", 0x65: "ESME_RX_P_APPN", 0x66: "ESME_RX_R_APPN",
    0x67: "ESME_RQUERYFAIL", 0xC0: "ESME_RINVOPTPARSTREAM", 0xC1: "ESME_ROPTPARNOTALLWD",
    0xC2: "ESME_RINVPARLEN", 0xC3: "ESME_RMISSINGOPTPARAM", 0xC4: "ESME_RINVOPTPARAMVAL",
    0xFE: "ESME_RDELIVERYFAILURE", 0xFF: "ESME_RUNKNOWNERR",
    # Of SMPP 5.0 (4.7.6), broadcasts apart.
    0x100: "ESME_RSERTYPUNAUTH", 0x101: "ESME_RPROHIBITED", 0x102: "ESME_RSERTYPUNAVAIL", 0x103: "ESME_RSERTYPDENIED",
    0x104: "ESME_RINVDCS", 0x105: "ESME_RINVSRCADDRSUBUNIT", 0x106: "ESME_RINVDSTADDRSUBUNIT",
}  # fmt: skip

USER_MESSAGE_REFERENCE: Final = 0x0204
RECEIPTED_MESSAGE_ID: Final = 0x001E
SAR_REFERENCE: Final = 0x020C
SAR_TOTAL: Final = 0x020E
SAR_NUMBER: Final = 0x020F
INTERFACE_VERSION: Final = 0x0210
NETWORK_ERROR_CODE: Final = 0x0423
MESSAGE_PAYLOAD: Final = 0x0424
MESSAGE_STATE: Final = 0x0427
CONGESTION_STATE: Final = 0x0428
"""Of SMPP 5.0; peers of 3.4 may send it all the same."""

_PARAMETERS: Final = {
    0x0005: "dest_addr_subunit", 0x0006: "dest_network_type", 0x0007: "dest_bearer_type", 0x000D: "source_addr_subunit",
    0x000E: "source_network_type", 0x000F: "source_bearer_type", 0x0010: "source_telematics_id",
    0x0017: "qos_time_to_live", 0x0019: "payload_type", 0x001D: "additional_status_info_text",
    RECEIPTED_MESSAGE_ID: "receipted_message_id", 0x0030: "ms_msg_wait_facilities", 0x0201: "privacy_indicator",
    0x0202: "source_subaddress", 0x0203: "dest_subaddress", USER_MESSAGE_REFERENCE: "user_message_reference",
    0x0205: "user_response_code", 0x020A: "source_port", 0x020B: "destination_port", SAR_REFERENCE: "sar_msg_ref_num",
    0x020D: "language_indicator", SAR_TOTAL: "sar_total_segments", SAR_NUMBER: "sar_segment_seqnum",
    INTERFACE_VERSION: "sc_interface_version", 0x0302: "callback_num_pres_ind", 0x0303: "callback_num_atag",
    0x0304: "number_of_messages", 0x0381: "callback_num", 0x0420: "dpf_result", 0x0421: "set_dpf",
    0x0422: "ms_availability_status", NETWORK_ERROR_CODE: "network_error_code", MESSAGE_PAYLOAD: "message_payload",
    0x0425: "delivery_failure_reason", 0x0426: "more_messages_to_send", MESSAGE_STATE: "message_state",
    CONGESTION_STATE: "congestion_state", 0x0501: "ussd_service_op", 0x1201: "display_time", 0x1203: "sms_signal",
    0x1204: "ms_validity", 0x130C: "alert_on_message_delivery", 0x1380: "its_reply_type", 0x1383: "its_session_info",
}  # fmt: skip


def status_name(status: int) -> str:
    """Name a status, such as ``ESME_RTHROTTLED``; ranges of vendors and reserved ones by their number."""
    known = _STATUSES.get(status)
    if known is not None:
        return known
    kind = "vendor" if 0x400 <= status <= 0x4FF else "reserved"
    return f"{kind} 0x{status:08x}"


def parameter_name(tag: int) -> str:
    """Name an optional parameter, such as ``message_state``; those of vendors and reserved ones by their number."""
    return _PARAMETERS.get(tag, f"0x{tag:04x}")


def command_name(command: int) -> str:
    """Name a command as the standard does, such as ``submit_sm_resp``."""
    if command == Command.GENERIC_NACK:
        return "generic_nack"
    try:
        name = Command(command & ~RESPONSE).name.lower()
    except ValueError:
        return f"0x{command:08x}"
    return f"{name}_resp" if command & RESPONSE else name
