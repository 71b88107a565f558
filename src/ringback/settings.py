"""Every setting, documented once; the only reader of files and environment.

Sources, later ones win: the defaults here, the TOML file, environment variables ``RINGBACK_<GROUP>__<NAME>``
(``RINGBACK_DRAIN_S``, which is in no group), and flags of the command line. An unknown name is an error, not a
silence.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from ringback.settings_analytics import AlertsSettings, AnalyticsSettings
from ringback.settings_kinds import CarrierName, Count, Group, Limit, Numbering, Octet, Port, Rate, Seconds

Role = Literal["web", "submit", "deliver", "analytics"]


class Invalid(Exception):
    """A setting is unknown, of the wrong type or out of range; the text says which."""


class ServerSettings(Group, frozen=True, kw_only=True):
    """Where Ringback listens."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but a loopback address makes Ringback reachable from outside."""
    port: Port = 8080
    """TCP port; 0 takes a free one."""
    public_base_url: str = ""
    """Scheme, host and port under which customers reach Ringback, if a proxy stands in front of it."""
    max_body_bytes: Count = 1_048_576
    """Larger request bodies get 413."""
    share_port: bool = False
    """Let several processes listen on the same port; the kernel spreads connections over them."""
    max_waiting_requests: Count = 10_000
    """With more API calls than this waiting for the database, further ones get 503."""
    max_connections: Count = 10_000
    """With more connections than this open, each new one ends the one that has sent nothing for longest. It is fewer
    where the system gives the process fewer descriptors."""
    request_timeout_s: Seconds = 60.0
    """A connection is closed whose request's head is not there after this time, or whose body has not gone on for so
    long."""
    metrics: bool = True
    """Answer ``GET /metrics``, without asking who wants to know."""
    media_url_hours: Annotated[int, msgspec.Meta(ge=1, le=8_760)] = 24
    """How long a URL of an image or another file works, from when it was given."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of your proxies, such as ``10.0.0.0/8``: only their ``Forwarded`` and ``X-Forwarded-*`` is believed."""
    tls_certificate: Path | None = None
    """PEM file with a certificate and those between it and its authority. With ``tls_key``, HTTPS is served too."""
    tls_key: Path | None = None
    """PEM file with the key of the certificate, without a passphrase."""
    tls_port: Port = 8443
    """TCP port for HTTPS on the same address; 0 takes a free one."""


class StoreSettings(Group, frozen=True, kw_only=True):
    """Where the durable truth is kept."""

    data_dir: Path = Path(".ringback")
    """Directory of the database and other state; created when missing, readable by its owner only."""
    url: str = ""
    """PostgreSQL database instead of the one in the data directory: ``postgresql://USER:PASSWORD@HOST:PORT/NAME``."""
    busy_timeout_s: Seconds = 4.0
    """How long a write waits for another process that holds the database."""
    min_free_mb: Annotated[int, msgspec.Meta(ge=0)] = 200
    """With fewer megabytes free where the database, the media or the analytics are, ``/readyz`` answers 503."""
    media_dir: Path | None = None
    """Directory of uploaded and fetched files, ``media`` in the data directory by default. Where several machines
    share a PostgreSQL database, it must be a directory that all of them share."""
    max_media_mb: Count = 10_000
    """With so many megabytes of media stored, further ones get 507."""


class MessagingSettings(Group, frozen=True, kw_only=True):
    """Outbound messages."""

    default_rate: Annotated[str, msgspec.Meta(pattern=r"^\d{1,6}\.\d{1,5}$")] = "0.00550"
    """Price of one unit, in the account's currency, as ``TotalRate`` reports it."""
    mms_rate: Annotated[str, msgspec.Meta(pattern=r"^\d{1,6}\.\d{1,5}$")] = "0.01800"
    """Price of one MMS."""
    smart_characters: bool = True
    """Replace typographic quotes, dashes and spaces when that lets a message stay in the GSM alphabet."""
    require_owned_src: bool = False
    """Refuse a numeric ``src`` that is not a number of the account."""
    concurrency: Count = 512
    """Submissions in flight at once."""
    submit_lease_s: Seconds = 60.0
    """A submission not finished after this time (its process died) is taken again."""
    inbound_rate: Annotated[str, msgspec.Meta(pattern=r"^\d{1,6}\.\d{1,5}$")] = "0.00000"
    """Price of one unit of an inbound message."""
    first_media_index: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    """The first of an inbound message's media is told of as ``Media0`` or ``Media1``."""
    optout_text: str = (
        "You have opted out and will get no more messages from this number. Reply START to get them again."
    )
    """Answer to STOP and its like; empty sends none. Accounts can have texts of their own."""
    optin_text: str = "You will get messages from this number again. Reply STOP to opt out, HELP for help."
    """Answer to START and its like, if the recipient had opted out."""
    help_text: str = "Reply STOP to get no more messages from this number, START to get them again."
    """Answer to HELP and INFO."""
    verification_sender: Annotated[str, msgspec.Meta(pattern=r"^([0-9]{3,14}|[A-Za-z0-9]{1,11})$")] = "Verify"
    """Sender of the codes that verify caller ids: a number, or a name of up to 11 letters and digits."""


class LimitsSettings(Group, frozen=True, kw_only=True):
    """What an account may do, unless it has limits of its own (``ringback account limits``); 0 is no limit."""

    requests_per_5_s: Limit = 0
    """API requests of an account within any 5 seconds; further ones get 429."""
    lists_per_minute: Limit = 0
    """Lists of messages within any minute; further ones get 429."""
    concurrent_requests: Limit = 0
    """API requests of an account in hand at once; further ones get 429."""
    messages_per_s: Rate = 0.0
    """Messages an account sends per second; further ones wait their turn."""
    mms_per_s: Rate = 0.0
    """The same for MMS, which have a queue of their own."""
    source_messages_per_s: Rate = 0.0
    """Messages per second from one sender of an account."""
    source_mms_per_s: Rate = 0.0
    """MMS per second from one sender of an account."""


class DeliverySettings(Group, frozen=True, kw_only=True):
    """Callbacks out."""

    retry_delays_s: tuple[Seconds, ...] = (60.0, 120.0, 240.0)
    """Pauses after failed attempts; when they are used up the callback is given up. Accounts, endpoints and messages
    may have plans of their own."""
    deadline_s: Seconds = 8.0
    """An attempt that has no full answer by then has failed."""
    connect_timeout_s: Seconds = 4.0
    """The part of the deadline that connecting may take."""
    lease_s: Seconds = 30.0
    """An attempt not recorded after this time (its process died) is made again."""
    concurrency: Count = 1024
    """Attempts in flight at once. A quarter is kept for endpoints that work."""
    endpoint_concurrency: Count = 128
    """Attempts in flight at once to one endpoint; it begins with 4, and each success allows one more. With the API an
    endpoint gets no higher limit than this."""
    park_after_failures: Count = 10
    """After so many failures in a row an endpoint is parked: only a probe goes there, first after 30 s."""
    keep_parked: bool = False
    """Make attempts later that fell due while the endpoint was parked. Otherwise they count as made."""
    egress_allow: tuple[str, ...] = ()
    """Networks of your own that callbacks may go to and media come from, such as ``10.1.0.0/16`` or ``127.0.0.1``."""
    ca_file: Path | None = None
    """PEM file of certificate authorities of your own, trusted beside those of the system."""
    response_cap_bytes: Count = 16_384
    """How much of an answer's body is read and kept."""


class SimulatorSettings(Group, frozen=True, kw_only=True):
    """The simulated carrier."""

    seed: int = 1
    """Chooses all random outcomes and delays; the same seed gives the same endings."""
    speed: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    """Divides every simulated delay: 10 makes an hour pass in six minutes."""
    script: Path | None = None
    """TOML file with rules per destination prefix; without one the built-in script applies."""


class SmppSettings(Group, frozen=True, kw_only=True):
    """A carrier over SMPP, instead of the simulated one."""

    host: str = ""
    """Host of the carrier's SMSC; with one, messages go there and no longer to the simulated carrier."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 2775
    """Its TCP port."""
    system_id: str = ""
    """Name to bind with, up to 15 characters."""
    password: str = ""
    """Password to bind with, up to 8 characters."""
    system_type: str = ""
    """What the carrier wants there, up to 12 characters."""
    pairs: bool = False
    """Bind a transmitter and a receiver each instead of transceivers."""
    binds: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1
    """Binds at a time, or pairs of them, over which messages are spread."""
    tls: bool = False
    """Connect with TLS; the certificate must be of ``host``."""
    ca_file: str = ""
    """PEM file of authorities that are trusted besides the system's."""
    window: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 50
    """Submissions of a bind that may await their answer; a carrier that throttles gets fewer for a while."""
    per_s: Rate = 0.0
    """Submissions a second over each bind; 0 for no limit."""
    response_s: Seconds = 30.0
    """For so long an answer is awaited; then nobody knows whether the carrier has the message."""
    enquire_link_s: Seconds = 30.0
    """After so long without a word the carrier is asked whether it is there."""
    inactivity_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    """After so long without a message the bind is ended in order and made anew; 0 never."""
    interface_version: Literal["3.3", "3.4", "5.0"] = "3.4"
    """Which SMPP the bind asks for. What a carrier of 5.0 adds is understood with any."""
    quirks: str = ""
    """What the carrier's SMSC is known for, by name (``docs/smpp.md`` has them): values for settings left out here."""
    default_coding: Literal["gsm", "gsm_packed", "latin1"] = "gsm"
    """What the carrier takes ``data_coding`` 0 for: GSM septets in a byte each or packed, or Latin-1."""
    latin1: bool = False
    """Send texts that fit Latin-1, but not the GSM alphabet, in Latin-1 and not in UCS-2."""
    gsm_data_coding: Octet = 0
    """``data_coding`` of texts in the carrier's default alphabet."""
    latin1_data_coding: Octet = 3
    """The same of texts in Latin-1."""
    ucs2_data_coding: Octet = 8
    """The same of texts in UCS-2."""
    concatenation: Literal["udh", "udh16", "sar", "payload"] = "udh"
    """How parts of long texts are told: header with a reference of 8 or 16 bits, TLVs, or ``message_payload``."""
    service_type: str = ""
    """What the carrier wants there, up to 5 characters."""
    name_type: Numbering = "5/0"
    """Type of number and numbering plan (TON/NPI) of senders that are names."""
    short_code_type: Numbering = "3/0"
    """The same of senders that are short codes."""
    short_code_digits: Annotated[int, msgspec.Meta(ge=0, le=20)] = 6
    """Senders of up to so many digits are short codes."""
    number_type: Numbering = "1/1"
    """TON/NPI of senders that are longer numbers."""
    dest_type: Numbering = "1/1"
    """TON/NPI of destinations."""
    receipts_for: Literal["all", "last", "failures", "none"] = "all"
    """With which parts of a message a receipt is asked for: all, the last, all but for failures only, or none."""
    validity: Literal["relative", "absolute", "none"] = "relative"
    """How the carrier is told when a message expires."""
    submitted_ids: Literal["text", "decimal", "hex"] = "text"
    """How the carrier writes ids in answers: as numbers, they match those of receipts however these are written."""
    receipted_ids: Literal["text", "decimal", "hex"] = "text"
    """How it writes them in receipts."""
    receipted_parameter_ids: Literal["as text", "text", "decimal", "hex"] = "as text"
    """How it writes them in ``receipted_message_id``, where that differs from the receipt's text."""
    receipts_by: Literal["class", "parameter", "text"] = "parameter"
    """What a receipt is known by: ``esm_class``; else ``receipted_message_id`` too; else its text too."""
    receipt_errors_from: Literal["parameter", "text"] = "parameter"
    """Where a receipt's error code is taken from: ``network_error_code``, else its text; or the other way round."""
    error_codes: tuple[str, ...] = ()
    """Codes of the carrier's receipts as those of callbacks, such as ``1=50``; others are ``1000``, unknown."""
    states: tuple[str, ...] = ()
    """States of receipts that the carrier has of its own, as those of SMPP, such as ``BUFFRED=ENROUTE``."""
    status_codes: tuple[str, ...] = ()
    """Statuses with which it refuses messages as codes of callbacks, such as ``0x22=90``."""
    throttle_statuses: tuple[str, ...] = ()
    """Statuses, beside those of SMPP, with which it says that it wants less, such as ``0x45``."""
    trouble_statuses: tuple[str, ...] = ()
    """Statuses, beside those of SMPP, after which a message is tried again in 5 s."""
    lenient_parameters: bool = False
    """Take a last parameter that is shorter than it says for what there is of it; otherwise the PDU is refused."""
    network_parameter: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    """Tag of the parameter in answers that has MCC and MNC as digits; 0 where there is none."""


class PlivoSettings(Group, frozen=True, kw_only=True):
    """A Plivo account as a carrier, or that of another Ringback, instead of the simulated one."""

    auth_id: str = ""
    """Id of the account or subaccount; with one, messages go there and no longer to the simulated carrier."""
    auth_token: str = ""
    """Its auth token."""
    more_tokens: tuple[str, ...] = ()
    """Tokens that may sign its callbacks besides: the main account's, and the old one during a rotation."""
    base_url: str = "https://api.plivo.com"
    """Scheme, host and port of the API. The rules for URLs of customers do not apply: it may be a private address."""
    public_url: str = ""
    """Scheme, host and port under which its callbacks reach this Ringback; ``server.public_base_url`` by default."""
    require_v3: bool = False
    """Refuse callbacks signed with V2 alone, which covers the URL and not what the request says."""
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 50
    """Requests in flight at once, in each process; Plivo takes 100."""
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10.0
    """For so long an answer is awaited; then nobody knows whether the account has the message."""
    poll_per_s: Rate = 2.0
    """Messages a second that are asked about after a restart, in case their callbacks were lost; 0 asks about none."""
    log: Literal["true", "false", "content_only", "number_only"] = "true"
    """What the account keeps of texts and numbers, as the API's ``log``."""
    ca_file: str = ""
    """PEM file of authorities that are trusted besides the system's."""


class SmppServerSettings(Group, frozen=True, kw_only=True):
    """The SMPP server that accounts bind to, in processes with the role ``web``."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but a loopback address makes it reachable from outside."""
    port: Port | None = None
    """TCP port, usually 2775; 0 takes a free one. Without one nobody is served in the clear."""
    tls_port: Port | None = None
    """TCP port for TLS, usually 3550; 0 takes a free one. It needs a certificate."""
    tls_certificate: Path | None = None
    """PEM file with a certificate and those between it and its authority."""
    tls_key: Path | None = None
    """PEM file with the key of the certificate, without a passphrase."""
    system_id: Annotated[str, msgspec.Meta(min_length=1, max_length=15)] = "ringback"
    """What those who bind are told whom they are bound to."""
    max_connections: Count = 1_000
    """Connections at a time, bound or not; further ones are closed."""
    binds_per_account: Count = 10
    """Binds of one account at a time, over all processes; further ones are refused."""
    max_in_hand: Count = 100
    """Requests of one bind that are worked on at a time; further ones get ``ESME_RTHROTTLED``."""
    window: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10
    """Receipts and inbound messages that one bind may be sent before it has answered."""
    bind_s: Seconds = 10.0
    """A connection that is not bound by then is closed."""
    enquire_link_s: Seconds = 30.0
    """After so long without a word the other side is asked whether it is there."""
    response_s: Seconds = 30.0
    """For so long an answer is awaited: to that question the connection ends without one, anything else comes again."""
    inactivity_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    """After so long without anything but that question a bind is ended; 0 for never."""
    default_coding: Literal["gsm", "gsm_packed", "latin1"] = "gsm"
    """What ``data_coding`` 0 is, both ways: GSM septets in a byte each or packed, or Latin-1."""
    concatenation: Literal["udh", "udh16", "sar", "payload"] = "udh"
    """How long inbound messages are sent: in parts with a header or TLVs, or as a whole in ``message_payload``."""


class ForwardSettings(Group, frozen=True, kw_only=True):
    """A URL of your own to which what a source says is handed on, signed anew and retried like any callback."""

    url: str = ""
    """Where to."""
    method: Literal["POST", "GET"] = "POST"
    """How the form is sent; JSON is always posted."""
    format: Literal["form", "json"] = "form"
    """``form`` hands on the provider's own parameters, ``json`` one object in the words of every provider."""
    events: tuple[str, ...] = ()
    """Only what has one of these words for a status, such as ``delivered,undelivered``; all of them by default."""
    account: str = ""
    """The Ringback account whose tokens sign; by default the source's ``account`` or ``auth_id``."""
    duplicates: bool = False
    """Hand on again what was received before."""


class SourceSettings(Group, frozen=True, kw_only=True):
    """A provider account whose callbacks are received at ``/hooks/<name>/...``."""

    provider: Literal["plivo", "twilio", "standard"] = "plivo"
    """Whose way of signing and saying things it is; ``standard`` is Standard Webhooks."""
    auth_id: str = ""
    """The account's id at the provider. A Ringback account of the same id may read the source's events."""
    tokens: tuple[str, ...] = ()
    """Auth tokens that may have signed: sub and main account, old and new during a rotation."""
    account: str = ""
    """Accept the tokens of this Ringback account too."""
    require_v3: bool = False
    """Refuse requests signed with V2 alone, which covers the URL and not what the request says."""
    public_url: str = ""
    """Scheme, host and port that the provider calls, when they differ from ``server.public_base_url``."""
    tolerance_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 300
    """How far the time that Standard Webhooks sign may be from ours."""
    api_url: str = ""
    """Where the provider's REST API is, to which conversions are reported and whose list ``ringback reconcile`` reads;
    by default the provider's own."""
    api_token: str = ""
    """The token for that API; by default the first of ``tokens``."""
    api_per_s: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 20.0
    """Conversions reported a second, by each process."""
    api_retry_delays_s: tuple[Seconds, ...] = (60.0, 120.0, 240.0, 900.0, 3_600.0, 14_400.0, 43_200.0)
    """Pauses after a conversion could not be reported; when they are used up it has failed."""
    forward: dict[str, ForwardSettings] = msgspec.field(default_factory=dict)
    """URLs of your own, by name: see ``sources.NAME.forward.NAME``."""


class DashboardSettings(Group, frozen=True, kw_only=True):
    """The web pages."""

    session_hours: Annotated[int, msgspec.Meta(ge=1, le=720)] = 12
    """How long a login lasts, whatever is done meanwhile."""
    idle_minutes: Annotated[int, msgspec.Meta(ge=5, le=43_200)] = 240
    """After so long without anything done, a login ends; what an open page renews by itself does not count."""
    login_link_minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 60
    """How long a printed login link can be used, once."""
    frame_after_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 50
    """An analytics page whose figures take longer than this goes ahead without them, and they follow in the same
    answer; its status is 200 then, whatever comes of them."""


class RetentionSettings(Group, frozen=True, kw_only=True):
    """How long things are kept; 0 keeps them for ever."""

    messages_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 90
    """Messages, with their events, callbacks and attempts, from when they were accepted; replays that have ended;
    which recipient had which number of a powerpack, from when it was last used. Endpoints that nothing was sent to
    for twice that time go too."""
    received_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 90
    """Received requests, with what they said."""
    media_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 365
    """Media of messages, from when they were accepted, and no longer than the message."""
    upload_hours: Annotated[int, msgspec.Meta(ge=1, le=8_760)] = 6
    """Uploaded media that no message has, from when they were uploaded; never for ever."""
    audit_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 365
    """What the audit log says of who did what."""


class CarrierSettings(Group, frozen=True, kw_only=True):
    """A carrier and how it is reached. Without any there is one, ``simulator``, that is simulated."""

    name: CarrierName
    """Lower-case letters, digits, ``-`` and ``_``."""
    kind: Literal["simulator", "smpp", "plivo"]
    """What its connector speaks. The table of that name below it holds the settings of the kind."""
    capacity: Count | None = None
    """Submissions in flight at once, in each process; ``messaging.concurrency`` by default."""
    simulator: dict[str, Any] = msgspec.field(default_factory=dict)
    """Of a simulated carrier: ``seed``, ``speed`` and ``script``, where they differ from the group ``simulator``."""
    smpp: dict[str, Any] = msgspec.field(default_factory=dict)
    """Of a link by SMPP."""
    plivo: dict[str, Any] = msgspec.field(default_factory=dict)
    """Of an upstream Plivo account."""


class RouteSettings(Group, frozen=True, kw_only=True):
    """A way to some destinations through a carrier. Without any, all messages go to the carrier, if there is one."""

    name: CarrierName
    """Lower-case letters, digits, ``-`` and ``_``."""
    carrier: CarrierName
    """The carrier that it leads to."""
    prefix: Annotated[str, msgspec.Meta(pattern=r"^\d{0,15}$")] = ""
    """Digits with which the destination begins, country code first; empty for all destinations."""
    mcc: Annotated[str, msgspec.Meta(pattern=r"^\d{3}$")] | None = None
    """Mobile country code of the destination's network, for where it is known before a message is sent."""
    mnc: Annotated[str, msgspec.Meta(pattern=r"^\d{2,3}$")] | None = None
    """Mobile network code."""
    sender: str = ""
    """Senders as in a shell: ``*`` stands for anything, ``?`` for one character; empty for all."""
    account: str | None = None
    """Auth id of the account whose messages take it; all by default."""
    type: Literal["sms", "mms"] | None = None
    """The type of message that takes it; both by default."""
    priority: int = 0
    """Of routes that say as much about a message, the lowest is tried first."""
    weight: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1
    """Of routes with one priority, the share of messages that try it first; 0 for only when the others did not."""
    on_unknown: Literal["resubmit", "wait"] = "resubmit"
    """What to do with a message of which nobody knows whether the carrier has it: hand it over again, or take it for
    sent and wait for a receipt."""
    receipt_timeout_s: Annotated[int, msgspec.Meta(ge=0, le=31_536_000)] = 0
    """A message that has no receipt after this time gets a note that says so; 0 for never."""
    failover_codes: tuple[str, ...] = ("20", "90")
    """Codes with which a rejection is not the last word: the next route is tried."""


class BinsSettings(Group, frozen=True, kw_only=True):
    """The request inspector."""

    max_bins: Count = 1_000
    """How many bins there may be."""
    captures: Count = 1_000
    """Captures that a new bin holds; the oldest make room for new ones."""
    max_captures: Count = 100_000
    """The most that a bin can be given."""
    megabytes: Count = 50
    """Megabytes that a new bin holds."""
    max_megabytes: Count = 1_000
    """The most that a bin can be given."""
    retention_hours: Annotated[int, msgspec.Meta(ge=0, le=876_000)] = 168
    """How long a new bin keeps a capture; 0 for as long as there is room."""
    max_body_bytes: Count = 1_048_576
    """Larger bodies are captured up to here and get 413."""
    body_timeout_s: Seconds = 30.0
    """A body that has not come by then is captured as far as it came, and gets 408."""
    requests_per_s_per_address: Rate = 200.0
    """Requests a second from one address, and twice as many at once; further ones get 429. 0 is no limit."""
    requests_per_s_per_bin: Rate = 500.0
    """The same for one bin, whoever sends them."""
    max_waiting_mb: Count = 64
    """With so many megabytes of bodies in memory, further requests get 503."""
    max_held: Count = 500
    """Answers held back at once, and API requests that wait for captures; further ones get 503."""


class LogSettings(Group, frozen=True, kw_only=True):
    """What goes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is shown."""


class Settings(Group, frozen=True, kw_only=True):
    """All groups."""

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    messaging: MessagingSettings = MessagingSettings()
    limits: LimitsSettings = LimitsSettings()
    delivery: DeliverySettings = DeliverySettings()
    simulator: SimulatorSettings = SimulatorSettings()
    smpp: SmppSettings = SmppSettings()
    smpp_server: SmppServerSettings = SmppServerSettings()
    plivo: PlivoSettings = PlivoSettings()
    sources: dict[str, SourceSettings] = msgspec.field(default_factory=dict)
    carriers: tuple[CarrierSettings, ...] = ()
    routes: tuple[RouteSettings, ...] = ()
    dashboard: DashboardSettings = DashboardSettings()
    retention: RetentionSettings = RetentionSettings()
    bins: BinsSettings = BinsSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()
    alerts: AlertsSettings = AlertsSettings()
    log: LogSettings = LogSettings()
    roles: tuple[Role, ...] = get_args(Role)
    """What this process does; processes with different roles share one database."""
    drain_s: Seconds = 15.0
    """After SIGTERM, the longest time until the process ends."""


ENV_PREFIX: Final = "RINGBACK_"
LISTS: Final = frozenset(
    {"tokens", "more_tokens", "retry_delays_s", "api_retry_delays_s", "roles", "egress_allow", "trusted_proxies"}
    | {"error_codes", "events", "states", "status_codes", "throttle_statuses", "trouble_statuses"}
    | {"sent_counts_as_delivered"}
)
"""Settings that an environment variable gives as values with commas between."""


def load(*, file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Mapping[str, object]]) -> Settings:
    """Merge file, environment and flags over the defaults.

    ``flags`` maps group to name to value; a value of ``None`` was not given. Raises ``Invalid``.
    """
    merged: dict[str, Any] = _read(file) if file else {}
    for name, value in environment.items():
        if name.startswith(ENV_PREFIX):
            _place(merged, name.removeprefix(ENV_PREFIX).lower().split("__"), value, name)
    for group, values in flags.items():
        given = {name: value for name, value in values.items() if value is not None}
        place = merged.setdefault(group, {})
        if not isinstance(place, dict):
            raise Invalid(f"settings: {group} is a group, not a value")
        place.update(given)
    try:
        return msgspec.convert(merged, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise Invalid(f"settings: {error}") from error


def read_script(file: Path) -> dict[str, Any]:
    """Read a simulator script (TOML). Raises ``Invalid``."""
    return _read(file)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise Invalid(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} is not valid TOML: {error}") from error


def _place(merged: dict[str, Any], path: list[str], value: str, name: str) -> None:
    *groups, last = path
    place = merged
    for group in groups:
        place = place.setdefault(group, {})
        if not isinstance(place, dict):
            raise Invalid(f"{name}: {group} is a value, not a group")
    place[last] = [part for part in value.split(",") if part] if last in LISTS else value


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    raise ValueError(f"expected a path, got {value!r}")
