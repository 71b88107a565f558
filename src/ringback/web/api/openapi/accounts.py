"""Descriptions of the Account, Subaccount, Pricing and VerifiedCallerId resources."""

from typing import Final

from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import FLAG, MONEY, PAGE, UUID, Operation, or_null, text, whole, word

_ACCOUNT: Final = "/v1/Account/{auth_id}/"
_SUBACCOUNTS: Final = _ACCOUNT + "Subaccount/"
_SUBACCOUNT: Final = _SUBACCOUNTS + "{subaccount_id}/"
_CALLER_IDS: Final = _ACCOUNT + "VerifiedCallerId/"
_CALLER_ID: Final = _CALLER_IDS + "{number}/"

_ABOUT: Final = {name: text() for name in ("name", "city", "address", "state")} | {"timezone": text("Such as Etc/UTC")}
ACCOUNT: Final = {
    **_ABOUT,
    "account_type": word("standard", "developer"),
    "auth_id": text(),
    "auto_recharge": FLAG,
    "billing_mode": word("postpaid", "prepaid"),
    "cash_credits": {"type": "string", "pattern": r"^-?\d+\.\d{5}$", "description": "Decimal text"},
    "resource_uri": text(),
}
_DAY: Final = text("UTC", format="date")
SUBACCOUNT: Final = {
    "account": text("Where its main account is"),
    "auth_id": text(),
    "auth_token": or_null(text("While the token is rotated, the one before the newest")),
    "new_auth_token": or_null(text()),
    "created": _DAY,
    "modified": or_null(_DAY),
    "enabled": FLAG,
    "name": text(),
    "resource_uri": text(),
}
_CHANGED: Final = shapes.answer({"message": text()}, says="It is changed")
_RATES: Final = shapes.record(
    {
        "inbound": shapes.record({"rate": MONEY}),
        "outbound": shapes.record({"rate": MONEY, "carrier_fees_rate": MONEY}),
    },
    optional={"outbound_networks_list": shapes.many(shapes.record({"group_name": text(), "rate": MONEY}))},
)
_RENT: Final = shapes.record({"rate": MONEY})
PRICES: Final = {
    "country": text(),
    "country_code": whole(0, description="Its calling code"),
    "country_iso": text(pattern="^[A-Z]{2}$"),
    "message": _RATES,
    "mms": _RATES,
    "phone_numbers": shapes.record({}, optional={"local": _RENT, "tollfree": _RENT, "mobile": _RENT}),
    "voice": shapes.record({}),
}
_MOMENT: Final = text("RFC 3339, UTC", format="date-time")
CALLER_ID: Final = {
    "phone_number": text("With a + before it"),
    "alias": text(),
    "country": text("ISO 3166"),
    "subaccount": text("Empty, or the subaccount that it is meant for"),
    "verification_uuid": UUID,
    "created_at": _MOMENT,
    "modified_at": _MOMENT,
    "resource_uri": text(),
}

_OF_ACCOUNTS: Final = (
    Operation(
        method="GET",
        path=_ACCOUNT,
        name="getAccount",
        says="Read the account, and what is left of its credit",
        tag="Account",
        answers={200: shapes.answer(ACCOUNT)},
        errors=(400, 413),
    ),
    Operation(
        method="POST",
        path=_ACCOUNT,
        name="updateAccount",
        says="Change what the account says of itself",
        tag="Account",
        body=shapes.request(_ABOUT),
        form=True,
        answers={202: _CHANGED},
        errors=(400, 413),
    ),
    Operation(
        method="GET",
        path=_ACCOUNT + "Pricing/",
        name="getPrices",
        says="What messages to and from a country, and its numbers, cost",
        tag="Account",
        query={"country_iso": text("ISO 3166", pattern="^[A-Za-z]{2}$")},
        answers={200: shapes.answer(PRICES)},
        errors=(400, 404),
    ),
)
_OF_SUBACCOUNTS: Final = (
    Operation(
        method="GET",
        path=_SUBACCOUNTS,
        name="listSubaccounts",
        says="List subaccounts, newest first",
        tag="Subaccount",
        query=PAGE,
        answers={200: shapes.page(shapes.record(SUBACCOUNT))},
        errors=(400, 413),
    ),
    Operation(
        method="POST",
        path=_SUBACCOUNTS,
        name="createSubaccount",
        says="Make a subaccount with credentials of its own",
        tag="Subaccount",
        body=shapes.request({"name": text(), "enabled": FLAG}, required=("name",)),
        form=True,
        answers={201: shapes.answer({"auth_id": text(), "auth_token": text(), "message": text()}, says="It is there")},
        errors=(400, 413),
    ),
    Operation(
        method="GET",
        path=_SUBACCOUNT,
        name="getSubaccount",
        says="Read one subaccount",
        tag="Subaccount",
        answers={200: shapes.answer(SUBACCOUNT)},
        errors=(400, 404, 413),
    ),
    Operation(
        method="POST",
        path=_SUBACCOUNT,
        name="updateSubaccount",
        says="Rename it, let it use the API or not",
        tag="Subaccount",
        body=shapes.request({"name": text(), "enabled": FLAG}),
        form=True,
        answers={202: _CHANGED},
        errors=(400, 404, 413),
    ),
    Operation(
        method="DELETE",
        path=_SUBACCOUNT,
        name="deleteSubaccount",
        says="Delete it; with cascade, what it has too, which is the main account's otherwise",
        tag="Subaccount",
        query={"cascade": FLAG},
        answers={204: ""},
        errors=(400, 404, 413),
    ),
)
_OF_CALLER_IDS: Final = (
    Operation(
        method="GET",
        path=_CALLER_IDS,
        name="listCallerIds",
        says="List verified numbers, newest first",
        tag="VerifiedCallerId",
        query={**PAGE, "country": text("ISO 3166"), "subaccount": text(), "alias": text()},
        answers={200: shapes.page(shapes.record(CALLER_ID))},
        errors=(400, 413),
    ),
    Operation(
        method="POST",
        path=_CALLER_IDS,
        name="beginVerification",
        says="Send a code to a number",
        tag="VerifiedCallerId",
        body=shapes.request(
            {
                "phone_number": text(),
                "alias": text(),
                "channel": word("sms"),
                "country": text("ISO 3166"),
                "subaccount": text("An auth id"),
            },
            required=("phone_number",),
        ),
        form=True,
        answers={202: shapes.answer({"message": text(), "verification_uuid": UUID}, says="The code is on its way")},
        errors=(400, 413),
    ),
    Operation(
        method="POST",
        path=_CALLER_IDS + "Verification/{verification_uuid}/",
        name="verifyCallerId",
        says="Tell the code that came",
        tag="VerifiedCallerId",
        body=shapes.request({"otp": text()}, required=("otp",)),
        form=True,
        answers={200: shapes.answer({**CALLER_ID, "channel": word("sms")})},
        errors=(400, 404, 413),
    ),
    Operation(
        method="GET",
        path=_CALLER_ID,
        name="getCallerId",
        says="Read one verified number",
        tag="VerifiedCallerId",
        answers={200: shapes.answer(CALLER_ID)},
        errors=(400, 404, 413),
    ),
    Operation(
        method="POST",
        path=_CALLER_ID,
        name="updateCallerId",
        says="Change its alias, or the subaccount that it is meant for",
        tag="VerifiedCallerId",
        body=shapes.request({"alias": text(), "subaccount": text("An auth id")}),
        form=True,
        answers={202: shapes.answer(CALLER_ID, says="It is changed")},
        errors=(400, 404, 413),
    ),
    Operation(
        method="DELETE",
        path=_CALLER_ID,
        name="deleteCallerId",
        says="Forget a verified number",
        tag="VerifiedCallerId",
        answers={204: ""},
        errors=(400, 404, 413),
    ),
)

OPERATIONS: Final = (*_OF_ACCOUNTS, *_OF_SUBACCOUNTS, *_OF_CALLER_IDS)
