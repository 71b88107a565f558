"""Who looks for what is wrong with deliveries: the process with the role ``analytics``."""

from ringback.analytics.alerting import Alerting
from ringback.model.errors import ConfigInvalid
from ringback.runtime import Worker
from ringback.wiring.chance import new_id
from ringback.wiring.core import Core


async def alerting(core: Core) -> list[Worker]:
    """Return what looks once a minute; nothing without the role, which has the figures at hand.

    Raises ``ConfigInvalid`` where alerts would have nobody to sign them.
    """
    if "analytics" not in core.settings.roles:
        return []
    settings = core.settings.alerts
    if settings.url and not settings.account:
        raise ConfigInvalid("settings: alerts.url needs alerts.account, whose token signs what is sent there")
    if settings.account and await core.accounts.get(settings.account, core.clock.now_us()) is None:
        raise ConfigInvalid(f"settings: alerts.account: there is no account {settings.account}")
    looker = Alerting(
        store=core.store,
        engine=core.engine,
        clock=core.clock,
        new_id=new_id,
        wakeups=core.wakeups,
        settings=settings,
    )
    return [looker.worker()]
