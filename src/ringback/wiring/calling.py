"""The role ``deliver``: callbacks out, replays, conversions for providers, retention."""

from ringback.delivery.deliver import Deliverer
from ringback.delivery.http import HttpClient
from ringback.delivery.replay import Replayer
from ringback.receiver.feedback import FeedbackSender
from ringback.receiver.rest import RestClient
from ringback.retention import Retention
from ringback.runtime import Worker
from ringback.wiring.chance import new_id, new_nonce
from ringback.wiring.core import Core


def delivering(core: Core, http: HttpClient) -> Worker:
    return Deliverer(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        new_nonce=new_nonce,
        accounts=core.accounts,
        http=http,
        wakeups=core.wakeups,
        settings=core.settings.delivery,
        metrics=core.metrics,
    ).worker()


def reporting(core: Core, rest: RestClient) -> Worker:
    return FeedbackSender(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        wakeups=core.wakeups,
        rest=rest,
        sources=core.settings.sources,
        metrics=core.metrics,
    ).worker()


def retaining(core: Core) -> Worker:
    return Retention(
        store=core.store,
        clock=core.clock,
        settings=core.settings.retention,
        metrics=core.metrics,
        files=core.files,
    )


def replaying(core: Core) -> Worker:
    return Replayer(store=core.store, clock=core.clock, new_id=new_id, wakeups=core.wakeups, metrics=core.metrics)
