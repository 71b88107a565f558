"""Countries: whether an account may send to one, and how much an hour (contract section 2.2).

A country that is blocked is refused with the request. A threshold is a check of ``messaging.screen``: messages are
counted at their first turn, in the transaction that leases them, and those above it fail. What was said of a message is
kept, so that it is neither counted nor judged anew when its turn comes once more.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from ringback.dialect.alerts import threshold_breach
from ringback.dialect.callbacks import endpoint_of
from ringback.messaging.refusal import Refusal
from ringback.model import numbers
from ringback.model.errors import Forbidden
from ringback.model.ids import uuid7
from ringback.store import callbacks, country_counts, limits, submissions
from ringback.store.callbacks import NewCallback
from ringback.store.country_counts import Counted, Key
from ringback.store.limits import Geo, Limits
from ringback.store.port import Transaction
from ringback.store.submissions import Submission

OVER_THRESHOLD: Final = "451"
PASSED: Final = "pass"


def refuse_blocked(of_account: Limits, destinations: Sequence[str]) -> None:
    """Raise ``Forbidden`` for a request with a destination in a country that is not open to the account."""
    if not of_account.geo:
        return
    countries = sorted({numbers.country(each) for each in destinations})
    if closed := [country for country in countries if not of_account.is_open(country)]:
        raise Forbidden(f"messages to {', '.join(closed)} are blocked for this account; nothing was sent")


def over_threshold(tx: Transaction, leased: Sequence[Submission], now_us: int) -> dict[str, Refusal]:
    """Refuse messages above the hour's threshold of their country."""
    under = limits.with_thresholds(tx, sorted({each.account_id for each in leased}))
    if not under:
        return {}
    found = {each.message_uuid: each.verdict for each in leased if each.verdict is not None}
    groups: dict[tuple[Key, int], list[Submission]] = defaultdict(list)
    alert_urls: dict[Key, str] = {}
    for each in leased:
        if each.account_id not in under or each.message_uuid in found:
            continue
        main_id, parties = under[each.account_id]
        country = numbers.country(each.dst)
        party = next((party for party in parties if party.threshold(country) is not None), None)
        if party is None:
            continue
        owner = main_id if party.owner == limits.ALL else party.owner
        key = (country_counts.hour_of(now_us), owner, country)
        groups[key, party.threshold(country) or 0].append(each)
        if url := _alert_url(parties):
            alert_urls[key] = url
    found |= _judge(tx, groups, alert_urls, now_us)
    return {
        uuid: Refusal(OVER_THRESHOLD, "the country's threshold of messages an hour is passed")
        for uuid, verdict in found.items()
        if verdict == OVER_THRESHOLD
    }


def _judge(
    tx: Transaction, groups: dict[tuple[Key, int], list[Submission]], alert_urls: dict[Key, str], now_us: int
) -> dict[str, str]:
    if not groups:
        return {}
    counted = country_counts.add(tx, {key: len(group) for (key, _), group in groups.items()})
    verdicts: dict[str, str] = {}
    alerts: list[NewCallback] = []
    for (key, threshold), group in groups.items():
        before = counted[key].total - len(group)
        for at, each in enumerate(group, before + 1):
            verdicts[each.message_uuid] = PASSED if at <= threshold else OVER_THRESHOLD
        if _is_news(counted[key], threshold) and key in alert_urls:
            country_counts.note_alert(tx, key)
            alerts.append(_alert(key, threshold, alert_urls[key], now_us))
    submissions.note_verdicts(tx, verdicts)
    callbacks.owe(tx, alerts)
    return verdicts


def _is_news(counted: Counted, threshold: int) -> bool:
    return counted.total > threshold and not counted.alerted


def _alert_url(parties: Sequence[Geo]) -> str | None:
    return next((party.alert_url for party in parties if party.alert_url), None)


def _alert(key: Key, threshold: int, url: str, now_us: int) -> NewCallback:
    _, owner, country = key
    # Made from what it is about: there is no second one.
    id_ = uuid7(now_us, hashlib.sha256(repr(key).encode()).digest())
    body = threshold_breach(auth_id=owner, country=country, threshold=threshold)
    return NewCallback(
        id=id_,
        account_id=owner,
        message_uuid=id_,
        sequence=1,
        url=url,
        method="POST",
        endpoint=endpoint_of(url),
        params=callbacks.json_params(body),
        created_at_us=now_us,
        kind="alert",
    )
