"""Applications: the URLs that numbers and powerpacks are bound to."""

import msgspec


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle of URLs for what comes in; a URL that is not set is empty."""

    app_id: str
    account_id: str
    """The main account."""
    subaccount_id: str | None
    """The subaccount that it belongs to, of that account."""
    name: str
    answer_url: str = ""
    answer_method: str = "POST"
    hangup_url: str = ""
    hangup_method: str = "POST"
    fallback_answer_url: str = ""
    fallback_method: str = "POST"
    message_url: str = ""
    message_method: str = "POST"
    is_default_number_app: bool = False
    """Numbers that are rented without naming an application get this one."""
    is_default_endpoint_app: bool = False
    is_public_uri: bool = False
    log_incoming_messages: bool = True
    retry_delays: str | None = None
    """The retry plan of its callbacks as stored (``model.retry``); ``None`` where less specific ones apply."""
    created_at_us: int
