"""Descriptions of the Number and PhoneNumber resources."""

from typing import Final

from ringback.model.inventory import TYPES
from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import FLAG, PAGE, Operation, or_null, text, word

_HELD: Final = "/v1/Account/{auth_id}/Number/"
_ONE: Final = _HELD + "{number}/"
_FOR_RENT: Final = "/v1/Account/{auth_id}/PhoneNumber/"

_RATES: Final = {
    **{f"{service}_enabled": FLAG for service in ("sms", "mms", "voice")},
    **{f"{service}_rate": text() for service in ("sms", "mms", "voice")},
}
NUMBER: Final = {
    "number": text(),
    "alias": or_null(text()),
    "application": or_null(text()),
    "carrier": text(),
    "number_type": text(),
    "region": text(),
    "city": text(),
    "country": text(),
    "active": FLAG,
    "added_on": or_null(text()),
    "renewal_date": or_null(text()),
    "monthly_rental_rate": text(),
    **_RATES,
    "sub_account": or_null(text()),
    "sub_account_name": or_null(text()),
    "cnam_lookup": text(),
    "cnam": or_null(text()),
    "compliance_application_id": or_null(text()),
    "compliance_status": or_null(text()),
    "tendlc_campaign_id": or_null(text()),
    "tendlc_registration_status": text(),
    "toll_free_sms_verification": or_null(text()),
    "toll_free_sms_verification_id": or_null(text()),
    "toll_free_sms_verification_order_status": or_null(text()),
    "profile_uuid": or_null(text()),
    "caller_reputation_status": or_null(text()),
    "resource_uri": text(),
}
OFFER: Final = {
    "number": text(),
    "prefix": text(),
    "city": text(),
    "country": text(),
    "region": text(),
    "rate_center": text(),
    "lata": {"type": ["integer", "null"]},
    "type": text(),
    "sub_type": text(),
    "setup_rate": text(),
    "monthly_rental_rate": text(),
    **_RATES,
    "restriction": or_null(text()),
    "restriction_text": or_null(text()),
    "prerequisites": shapes.many({}),
    "resource_uri": text(),
}
_SETTINGS: Final = {"app_id": text(), "subaccount": text("An auth id"), "alias": text()}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_HELD,
        name="listNumbers",
        says="List the account's numbers, newest first",
        tag="Number",
        query={**PAGE, "type": word(*TYPES), "number_startswith": text(pattern="^[0-9]{1,15}$"), "alias": text()},
        answers={200: shapes.page(shapes.record(NUMBER))},
        errors=(400, 413),
    ),
    Operation(
        method="POST",
        path=_HELD,
        name="bringNumbers",
        says="Add numbers of a carrier of one's own",
        tag="Number",
        body=shapes.request(
            {
                "numbers": text("With commas between"),
                "carrier": text(),
                "region": text(),
                "number_type": word(*TYPES),
                **_SETTINGS,
            },
            required=("numbers", "carrier", "region"),
        ),
        form=True,
        answers={202: shapes.answer({"message": text()}, says="They are there")},
        errors=(400, 413),
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="getNumber",
        says="Read one number",
        tag="Number",
        answers={200: shapes.answer(NUMBER)},
        errors=(400, 404, 413),
    ),
    Operation(
        method="POST",
        path=_ONE,
        name="updateNumber",
        says="Bind it to an application or a subaccount, or name it",
        tag="Number",
        body=shapes.request(_SETTINGS),
        form=True,
        answers={202: shapes.answer({"message": text()}, says="It is changed")},
        errors=(400, 404, 413),
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        name="unrentNumber",
        says="Give a number up",
        tag="Number",
        answers={204: ""},
        errors=(400, 404, 413),
    ),
    Operation(
        method="GET",
        path=_FOR_RENT,
        name="searchNumbers",
        says="Search numbers for rent",
        tag="PhoneNumber",
        query={**PAGE, "country_iso": text("ISO 3166", pattern="^[A-Z]{2}$"), "type": word(*TYPES)},
        answers={200: shapes.page(shapes.record(OFFER))},
        errors=(400, 413),
    ),
    Operation(
        method="POST",
        path=_FOR_RENT + "{number}/",
        name="rentNumber",
        says="Rent a number",
        tag="PhoneNumber",
        body=shapes.request({"app_id": text()}),
        form=True,
        answers={
            201: shapes.answer(
                {
                    "message": text(),
                    "status": word("fulfilled", "pending"),
                    "numbers": shapes.many(shapes.record({"number": text(), "status": text()})),
                },
                says="It is the account's",
            )
        },
        errors=(400, 404, 413),
    ),
)
