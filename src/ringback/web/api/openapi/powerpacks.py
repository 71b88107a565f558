"""Descriptions of the Powerpack resource and of number pools."""

from typing import Final

from ringback.web.api.openapi import shapes
from ringback.web.api.openapi.shapes import FLAG, PAGE, UUID, Operation, or_null, text, word

_COLLECTION: Final = "/v1/Account/{auth_id}/Powerpack/"
_ONE: Final = _COLLECTION + "{uuid}/"
_POOL: Final = "/v1/Account/{auth_id}/NumberPool/{pool}/{kind}/"
_POOLED_ONE: Final = _POOL + "{number}/"
_SERVICES: Final = ("sms", "mms")

_PLACES: Final = {f"priority{place}": or_null(text()) for place in (1, 2, 3)}
_PRIORITY: Final = shapes.record({"service_type": text(), "country_iso": text(), "priority": shapes.record(_PLACES)})
POWERPACK: Final = {
    "uuid": UUID,
    "name": text(),
    "application_id": text(),
    "application_type": text(),
    "created_on": text("Such as 2026-01-31T12:00:00Z"),
    "local_connect": FLAG,
    "sticky_sender": FLAG,
    "number_pool": text("Where its numbers are"),
    "number_priority": shapes.many(_PRIORITY),
}
_SETTINGS: Final = {
    "name": text(minLength=1, maxLength=60, pattern="^[A-Za-z0-9 _-]+$"),
    "sticky_sender": FLAG,
    "local_connect": FLAG,
    "application_type": word("XML"),
    "application_id": text(),
}
_POOLED: Final = shapes.record(
    {"country_iso2": text(), "added_on": text(), "number_pool_uuid": UUID, "service": text()},
    optional={"number": text(), "shortcode": text(), "type": text(), "account_phone_number_resource": text()},
)
_POOLED_ANSWER: Final = shapes.answer(_POOLED["properties"], says="A number of the pool")
_GONE: Final = {200: shapes.answer({"response": word("success")})}


def _pooled(status: int) -> dict[int, shapes.Schema]:
    required = ["api_id", *_POOLED["required"]]
    return {status: {**_POOLED_ANSWER, "required": required}}


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_POOL,
        name="listPool",
        says="List the numbers of a pool; kind is Number, Tollfree or Shortcode",
        tag="NumberPool",
        query={**PAGE, "service": word(*_SERVICES)},
        answers={200: shapes.page(_POOLED)},
        errors=(400, 404, 413),
    ),
    Operation(
        method="POST",
        path=_POOLED_ONE,
        name="addToPool",
        says="Put a number into a pool, or rent one for it",
        tag="NumberPool",
        body=shapes.request({"rent": FLAG, "service": word(*_SERVICES)}),
        form=True,
        answers=_pooled(201),
        errors=(400, 404, 413),
    ),
    Operation(
        method="GET",
        path=_POOLED_ONE,
        name="getPooled",
        says="Read one number of a pool",
        tag="NumberPool",
        answers=_pooled(200),
        errors=(400, 404, 413),
    ),
    Operation(
        method="DELETE",
        path=_POOLED_ONE,
        name="removeFromPool",
        says="Take a number out of a pool",
        tag="NumberPool",
        answers=_GONE,
        errors=(400, 404, 413),
    ),
    Operation(
        method="POST",
        path=_COLLECTION,
        name="createPowerpack",
        says="Make a powerpack with an empty pool",
        tag="Powerpack",
        body=shapes.request(_SETTINGS, required=("name",)),
        form=True,
        answers={201: shapes.answer(POWERPACK)},
        errors=(400, 413),
    ),
    Operation(
        method="GET",
        path=_COLLECTION,
        name="listPowerpacks",
        says="List powerpacks, newest first",
        tag="Powerpack",
        query={**PAGE, "service": word(*_SERVICES)},
        answers={200: shapes.page(shapes.record(POWERPACK))},
        errors=(400, 413),
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="getPowerpack",
        says="Read one powerpack",
        tag="Powerpack",
        answers={200: shapes.answer(POWERPACK)},
        errors=(400, 404, 413),
    ),
    Operation(
        method="POST",
        path=_ONE,
        name="updatePowerpack",
        says="Change what is given",
        tag="Powerpack",
        body=shapes.request(_SETTINGS),
        form=True,
        answers={202: shapes.answer(POWERPACK, says="As it is now")},
        errors=(400, 404, 413),
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        name="deletePowerpack",
        says="Remove a powerpack; its numbers stay the account's unless they are given up with it",
        tag="Powerpack",
        query={"unrent_numbers": FLAG},
        answers=_GONE,
        errors=(400, 404, 413),
    ),
)
