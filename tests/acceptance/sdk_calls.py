"""One call of every method that the official Python SDK has for messaging.

A call that needs a thing, a powerpack for instance, uses the one that an earlier call made; hence the order. Where that
call failed, it uses an id of nothing.
"""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import plivo
from plivo.resources import accounts, applications, messages, numberpools, numbers, powerpacks, pricings

Made = dict[str, Any]
Call = Callable[[plivo.RestClient, Made], Any]

NOTHING: Final = "db3ce55a-7f1d-11e1-8ea7-1231380bc196"
NO_NUMBER: Final = "15005550199"
TOLLFREE: Final = "18005550100"
"""A number that the account has."""
CODE: Final = "000000"
"""What was sent to a number that is to be verified."""

INTERFACES: Final = (
    "messages",
    "account",
    "subaccounts",
    "pricing",
    "verify_callerids",
    "applications",
    "numbers",
    "media",
    "powerpacks",
)
OBJECTS: Final = {
    "Message": messages.Message,
    "Account": accounts.Account,
    "Subaccount": accounts.Subaccount,
    "Pricing": pricings.Pricing,
    "Application": applications.Application,
    "Number": numbers.Number,
    "Powerpack": powerpacks.Powerpack,
    "NumberPool.numbers": numberpools.Numbers,
    "NumberPool.shortcodes": numberpools.Shortcode,
    "NumberPool.tollfree": numberpools.Tollfree,
}


def offered(client: plivo.RestClient) -> Iterator[str]:
    """Name the methods that the installed SDK has."""
    for name in INTERFACES:
        yield from (f"{name}.{method}" for method in _own(type(getattr(client, name))))
    for name, kind in OBJECTS.items():
        yield from (f"{name}.{method}" for method in _own(kind))


def _own(kind: type) -> list[str]:
    return [name for name, value in vars(kind).items() if inspect.isfunction(value) and not name.startswith("_")]


def _keep(made: Made, name: str, value: Any) -> Any:
    made[name] = value
    return value


def _powerpack(client: plivo.RestClient, made: Made) -> Any:
    return client.powerpacks.get(made.get("powerpack", NOTHING))


def _pool(client: plivo.RestClient, made: Made) -> Any:
    return _powerpack(client, made).numberpool


def _of_pool(kind: str, method: str, *arguments: Any, **fields: Any) -> Call:
    return lambda client, made: getattr(getattr(_pool(client, made), kind), method)(*arguments, **fields)


def _of_powerpack(method: str, *arguments: Any, **fields: Any) -> Call:
    return lambda client, made: getattr(_powerpack(client, made), method)(*arguments, **fields)


def _application(client: plivo.RestClient, made: Made) -> Any:
    return client.applications.get(made.get("application", "12345678901234567"))


def _subaccount(client: plivo.RestClient, made: Made) -> Any:
    return client.subaccounts.get(made.get("subaccount", "SA" + "X" * 18))


def _search(client: plivo.RestClient, made: Made) -> Any:
    found = client.numbers.search("US", type="local")
    made["on offer"] = [each.number for each in found]
    return found


def _on_offer(made: Made, at: int) -> str:
    return str((made.get("on offer", []) + [NO_NUMBER] * 9)[at])


CALLS: Final[dict[str, Call]] = {
    "messages.create": lambda c, m: _keep(
        m, "message", c.messages.create(src="15005550100", dst="15005550001", text="Hello").message_uuid[0]
    ),
    "messages.get": lambda c, m: c.messages.get(m.get("message", NOTHING)),
    "messages.list": lambda c, m: c.messages.list(limit=5, message_direction="outbound"),
    "Message.get": lambda c, m: c.messages.get(m.get("message", NOTHING)).get(),
    "Message.listMedia": lambda c, m: c.messages.get(m.get("message", NOTHING)).listMedia(),
    "Message.update": lambda c, m: c.messages.get(m.get("message", NOTHING)).update(),
    "Message.delete": lambda c, m: c.messages.get(m.get("message", NOTHING)).delete(),
    "account.get": lambda c, m: c.account.get(),
    "account.update": lambda c, m: c.account.update(name="Table", city="Bonn", address="1 Street"),
    "Account.get": lambda c, m: c.account.get().get(),
    "Account.update": lambda c, m: c.account.get().update(name="Table"),
    "subaccounts.create": lambda c, m: _keep(m, "subaccount", c.subaccounts.create("Table", enabled=True).auth_id),
    "subaccounts.get": _subaccount,
    "subaccounts.list": lambda c, m: c.subaccounts.list(limit=5),
    "subaccounts.update": lambda c, m: c.subaccounts.update(
        m.get("subaccount", "SA" + "X" * 18), "Table 2", enabled=False
    ),
    "Subaccount.get": lambda c, m: _subaccount(c, m).get(),
    "Subaccount.update": lambda c, m: _subaccount(c, m).update("Table 3", enabled=True),
    "Subaccount.delete": lambda c, m: _subaccount(c, m).delete(),
    "subaccounts.delete": lambda c, m: c.subaccounts.delete(c.subaccounts.create("Table 4").auth_id, cascade=True),
    "pricing.get": lambda c, m: c.pricing.get("US"),
    "Pricing.get": lambda c, m: c.pricing.get("US").get(),
    "verify_callerids.initiate_verify": lambda c, m: _keep(
        m,
        "verification",
        c.verify_callerids.initiate_verify(phone_number="15005550001", alias="table", channel="sms").verification_uuid,
    ),
    "verify_callerids.verify_caller_id": lambda c, m: c.verify_callerids.verify_caller_id(
        m.get("verification", NOTHING), otp=CODE
    ),
    "verify_callerids.list_verified_caller_id": lambda c, m: c.verify_callerids.list_verified_caller_id(limit=5),
    "verify_callerids.get_verified_caller_id": lambda c, m: c.verify_callerids.get_verified_caller_id("15005550001"),
    "verify_callerids.update_verified_caller_id": lambda c, m: c.verify_callerids.update_verified_caller_id(
        "15005550001", alias="table 2"
    ),
    "verify_callerids.delete_verified_caller_id": lambda c, m: c.verify_callerids.delete_verified_caller_id(
        "15005550001"
    ),
    "applications.create": lambda c, m: _keep(
        m, "application", c.applications.create("table", message_url="http://127.0.0.1:9/message").app_id
    ),
    "applications.get": _application,
    "applications.list": lambda c, m: c.applications.list(limit=5),
    "applications.update": lambda c, m: c.applications.update(
        m.get("application", "12345678901234567"), message_url="http://127.0.0.1:9/other"
    ),
    "Application.get": lambda c, m: _application(c, m).get(),
    "Application.update": lambda c, m: _application(c, m).update("http://127.0.0.1:9/answer"),
    "Application.delete": lambda c, m: _application(c, m).delete(),
    "applications.delete": lambda c, m: c.applications.delete(c.applications.create("table2").app_id, cascade=False),
    "numbers.search": _search,
    "numbers.buy": lambda c, m: c.numbers.buy(_on_offer(m, 0)),
    "numbers.create": lambda c, m: c.numbers.create(NO_NUMBER, "carrier", "region"),
    "numbers.list": lambda c, m: c.numbers.list(limit=5),
    "numbers.get": lambda c, m: c.numbers.get(_on_offer(m, 0)),
    "numbers.update": lambda c, m: c.numbers.update(_on_offer(m, 0), alias="table"),
    "Number.get": lambda c, m: c.numbers.get(_on_offer(m, 0)).get(),
    "Number.update": lambda c, m: c.numbers.get(_on_offer(m, 0)).update(alias="table 2"),
    "media.upload": lambda c, m: _keep(m, "media", c.media.upload([m["file"]]).objects[0].media_id),
    "media.get": lambda c, m: c.media.get(m.get("media", NOTHING)),
    "media.list": lambda c, m: c.media.list(limit=5),
    "powerpacks.create": lambda c, m: _keep(m, "powerpack", c.powerpacks.create(name="table").uuid),
    "powerpacks.get": _powerpack,
    "powerpacks.list": lambda c, m: c.powerpacks.list(limit=5, offset=0),
    "Powerpack.get": _of_powerpack("get"),
    "Powerpack.update": _of_powerpack("update", {"name": "table 2"}),
    "Powerpack.get_numberpooluuid": _of_powerpack("get_numberpooluuid"),
    "Powerpack.add_number": lambda c, m: _powerpack(c, m).add_number(_on_offer(m, 0)),
    "Powerpack.list_numbers": _of_powerpack("list_numbers", limit=5),
    "Powerpack.count_numbers": _of_powerpack("count_numbers"),
    "Powerpack.find_number": lambda c, m: _powerpack(c, m).find_number(_on_offer(m, 0)),
    "Powerpack.remove_number": lambda c, m: _powerpack(c, m).remove_number(_on_offer(m, 0)),
    "Powerpack.buy_add_number": lambda c, m: _powerpack(c, m).buy_add_number(number=_on_offer(m, 1)),
    "Powerpack.add_tollfree": _of_powerpack("add_tollfree", TOLLFREE),
    "Powerpack.list_tollfree": _of_powerpack("list_tollfree"),
    "Powerpack.find_tollfree": _of_powerpack("find_tollfree", TOLLFREE),
    "Powerpack.remove_tollfree": _of_powerpack("remove_tollfree", TOLLFREE),
    "Powerpack.list_shortcodes": _of_powerpack("list_shortcodes"),
    "Powerpack.find_shortcode": _of_powerpack("find_shortcode", "444444"),
    "Powerpack.remove_shortcode": _of_powerpack("remove_shortcode", "444444"),
    "NumberPool.numbers.buy_add_number": lambda c, m: _pool(c, m).numbers.buy_add_number(number=_on_offer(m, 2)),
    "NumberPool.numbers.add": lambda c, m: _pool(c, m).numbers.add(_on_offer(m, 0)),
    "NumberPool.numbers.list": _of_pool("numbers", "list"),
    "NumberPool.numbers.count": _of_pool("numbers", "count"),
    "NumberPool.numbers.find": lambda c, m: _pool(c, m).numbers.find(_on_offer(m, 0)),
    "NumberPool.numbers.remove": lambda c, m: _pool(c, m).numbers.remove(_on_offer(m, 0)),
    "NumberPool.shortcodes.list": _of_pool("shortcodes", "list"),
    "NumberPool.shortcodes.find": _of_pool("shortcodes", "find", "444444"),
    "NumberPool.shortcodes.remove": _of_pool("shortcodes", "remove", "444444"),
    "NumberPool.tollfree.add": _of_pool("tollfree", "add", TOLLFREE),
    "NumberPool.tollfree.list": _of_pool("tollfree", "list"),
    "NumberPool.tollfree.find": _of_pool("tollfree", "find", TOLLFREE),
    "NumberPool.tollfree.remove": _of_pool("tollfree", "remove", TOLLFREE),
    "Powerpack.delete": _of_powerpack("delete"),
    "Number.delete": lambda c, m: c.numbers.get(_on_offer(m, 1)).delete(),
    "numbers.delete": lambda c, m: c.numbers.delete(_on_offer(m, 0)),
}


def outcomes(client: plivo.RestClient, file: Path) -> dict[str, str]:
    """Make every call; gives ``works`` or the error as a program would see it."""
    made: Made = {"file": str(file)}
    return {name: _outcome(call, client, made) for name, call in CALLS.items()}


def _outcome(call: Call, client: plivo.RestClient, made: Made) -> str:
    try:
        call(client, made)
    except Exception as error:  # noqa: BLE001 - whatever a program would see is what the table shows
        return f"{type(error).__name__}: {error}"
    return "works"
