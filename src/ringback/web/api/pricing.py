"""The Pricing resource: what messages and numbers of a country cost (contract section 6.9)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect import arguments
from ringback.model import numbers
from ringback.model.countries import NAMES
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.pricing import Tariff
from ringback.runtime import Clock
from ringback.store.cached import Cached
from ringback.web.api.auth import Authenticator
from ringback.web.api.resource import answer
from ringback.web.errors import guarded


class PricingApi:
    """The endpoint ``/v1/Account/{auth_id}/Pricing/``."""

    def __init__(self, *, clock: Clock, tariff: Cached[Tariff], authenticator: Authenticator) -> None:
        self._clock = clock
        self._tariff = tariff
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        return [Route("/v1/account/{auth_id}/pricing/", guarded(self.get), methods=["GET"])]

    async def get(self, request: Request) -> Response:
        """Return a country's prices."""
        await self._authenticator.account(request)
        country = arguments.required(request.query_params, "country_iso").upper()
        if len(country) != 2:
            raise InvalidRequest("country_iso parameter must be an ISO 3166 code of two letters")
        if country not in NAMES:
            raise NotFound("not found")
        tariff = await self._tariff.get(self._clock.now_us())
        return answer(_record(country, tariff))


def _record(country: str, tariff: Tariff) -> dict[str, Any]:
    price = tariff.country(country)
    rents = {"local": price.local_rent, "tollfree": price.tollfree_rent, "mobile": price.mobile_rent}
    return {
        "country": NAMES[country],
        "country_code": int(numbers.calling_code(country) or 0),
        "country_iso": country,
        "message": {
            **_rates(tariff, country, "sms"),
            "outbound_networks_list": [
                {"group_name": group.network_group, "rate": group.sms_outbound}
                for group in tariff.groups(country)
                if group.sms_outbound is not None
            ],
        },
        "mms": _rates(tariff, country, "mms"),
        "phone_numbers": {kind: {"rate": rent} for kind, rent in rents.items() if rent is not None},
        "voice": {},
    }


def _rates(tariff: Tariff, country: str, kind: str) -> dict[str, Any]:
    rate, carrier_fees_rate = tariff.outbound(country, kind)
    return {
        "inbound": {"rate": tariff.inbound(country, kind)},
        "outbound": {"rate": rate, "carrier_fees_rate": carrier_fees_rate or "0.00000"},
    }
