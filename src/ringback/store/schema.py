"""Every table. Times are UTC microseconds since 1970, ids are text, and money is decimal text; sums of money are
integers of the unit of ``model.money``.

Hot tables (``submissions``, ``callback_queue``) hold only work that is still to be done: a row is claimed by
moving its ``due_at_us`` to the end of a lease and noting a ``lease_token``; finishing it deletes the row. So a
claim reads the due index from its low end and never meets a row that is not due, and a lease that runs out
makes its row due again by itself. Callbacks are queued by endpoint: ``endpoints`` says whose queue is worth a look, so
a million rows of an endpoint that is parked are one row to everybody else.
"""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Uuid = sa.String(36)
_AuthId = sa.String(20)
_Time = sa.BigInteger

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("auth_id", _AuthId, primary_key=True),
    sa.Column("parent_id", _AuthId, nullable=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_at_us", _Time, nullable=False),
    # Retry plans, here and below: null where those that are less specific apply (model.retry).
    sa.Column("retry_delays", sa.Text, nullable=True),
    sa.Column("modified_at_us", _Time, nullable=True),
    # Set once it is deleted: what it has sent stays, and the callbacks of that are still signed with its tokens.
    sa.Column("deleted_at_us", _Time, nullable=True),
    # standard, or developer: one that may send to sandbox numbers only.
    sa.Column("account_type", sa.String(10), nullable=False, default="standard"),
    # postpaid: no limit; prepaid: pays from its credit. A subaccount has its main account's.
    sa.Column("billing_mode", sa.String(8), nullable=False, default="postpaid"),
    sa.Column("auto_recharge", sa.Boolean, nullable=False, default=False),
    sa.Column("city", sa.Text, nullable=False, default=""),
    sa.Column("address", sa.Text, nullable=False, default=""),
    sa.Column("state", sa.Text, nullable=False, default=""),
    sa.Column("timezone", sa.Text, nullable=False, default="Etc/UTC"),
    # Made for the owner of a source, to fetch its events: changes and sends nothing.
    sa.Column("reads_only", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
)
sa.Index(
    "ix_accounts_parent_id",
    accounts.c.parent_id,
    sqlite_where=accounts.c.parent_id.is_not(None),
    postgresql_where=accounts.c.parent_id.is_not(None),
)

auth_tokens = sa.Table(
    "auth_tokens",
    metadata,
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("account_id", _AuthId, nullable=False, index=True),
    sa.Column("created_at_us", _Time, nullable=False),
    sa.Column("expires_at_us", _Time, nullable=True),
)
sa.Index(
    "ix_auth_tokens_expires_at_us",
    auth_tokens.c.expires_at_us,
    sqlite_where=auth_tokens.c.expires_at_us.is_not(None),
    postgresql_where=auth_tokens.c.expires_at_us.is_not(None),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("uuid", _Uuid, primary_key=True),
    sa.Column("account_id", _AuthId, nullable=False),
    sa.Column("direction", sa.String(8), nullable=False),
    sa.Column("type", sa.String(8), nullable=False),
    sa.Column("src", sa.Text, nullable=False),
    sa.Column("dst", sa.Text, nullable=False),
    # Null when the sender asked for it not to be kept (contract section 2.1, log).
    sa.Column("text", sa.Text, nullable=True),
    sa.Column("encoding", sa.String(4), nullable=False),
    sa.Column("units", sa.Integer, nullable=False),
    sa.Column("rate", sa.String(16), nullable=False),
    # What carriers add to each unit; null when they add nothing.
    sa.Column("carrier_fees_rate", sa.String(16), nullable=True),
    sa.Column("log", sa.String(12), nullable=False),
    sa.Column("trackable", sa.Boolean, nullable=False),
    sa.Column("callback_url", sa.Text, nullable=True),
    sa.Column("callback_method", sa.String(4), nullable=False),
    sa.Column("callback_retry_delays", sa.Text, nullable=True),
    sa.Column("requester_ip", sa.String(45), nullable=False),
    sa.Column("country", sa.String(2), nullable=False),
    sa.Column("powerpack_uuid", _Uuid, nullable=True),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("error_code", sa.String(8), nullable=True),
    sa.Column("connector", sa.Text, nullable=True),
    sa.Column("carrier_ref", sa.Text, nullable=True),
    sa.Column("mcc", sa.String(3), nullable=True),
    sa.Column("mnc", sa.String(3), nullable=True),
    sa.Column("network", sa.Text, nullable=True),
    # By which it was sent, or would have been.
    sa.Column("route", sa.String(40), nullable=True),
    # model.receipts_asked: null unless it came over SMPP and asks for receipts.
    sa.Column("receipts_asked", sa.Text, nullable=True),
    sa.Column("queued_at_us", _Time, nullable=False),
    sa.Column("sent_at_us", _Time, nullable=True),
    sa.Column("final_at_us", _Time, nullable=True),
    sa.Column("updated_at_us", _Time, nullable=False),
    sqlite_with_rowid=False,
)
# An account's list in its order, with what most filters ask for: a filter reads no message that it does not show.
sa.Index(
    "ix_messages_account_id_queued_at_us",
    messages.c.account_id,
    messages.c.queued_at_us,
    messages.c.uuid,
    messages.c.status,
    messages.c.direction,
    messages.c.type,
    messages.c.country,
    messages.c.src,
    messages.c.log,
    messages.c.powerpack_uuid,
)
sa.Index("ix_messages_account_id_dst", messages.c.account_id, messages.c.dst, messages.c.queued_at_us)
# Few fail, and those are what is looked for among the many.
sa.Index(
    "ix_messages_failures",
    messages.c.account_id,
    messages.c.queued_at_us,
    messages.c.uuid,
    messages.c.status,
    messages.c.error_code,
    sqlite_where=messages.c.status.in_(("failed", "undelivered")),
    postgresql_where=messages.c.status.in_(("failed", "undelivered")),
)
sa.Index("ix_messages_queued_at_us", messages.c.queued_at_us)
sa.Index(
    "ix_messages_carrier_ref",
    messages.c.connector,
    messages.c.carrier_ref,
    sqlite_where=messages.c.carrier_ref.is_not(None),
    postgresql_where=messages.c.carrier_ref.is_not(None),
)

events = sa.Table(
    "events",
    metadata,
    # The log offset: dashboards and projections resume from it.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("message_uuid", _Uuid, nullable=False, index=True),
    sa.Column("account_id", _AuthId, nullable=False),
    # A flagged event changed nothing and carries the sequence of the event that stands.
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("flag", sa.String(12), nullable=False),
    sa.Column("at_us", _Time, nullable=False),
    sa.Column("error_code", sa.String(8), nullable=True),
    sa.Column("detail", sa.Text, nullable=True),
)

submissions = sa.Table(
    "submissions",
    metadata,
    sa.Column("message_uuid", _Uuid, primary_key=True),
    sa.Column("account_id", _AuthId, nullable=False),
    sa.Column("src", sa.Text, nullable=False),
    sa.Column("dst", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("attempts_made", sa.Integer, nullable=False),
    sa.Column("expires_at_us", _Time, nullable=False),
    sa.Column("due_at_us", _Time, nullable=False),
    sa.Column("lease_token", _Uuid, nullable=True),
    # A JSON list of the ids of its media; null for a text message.
    sa.Column("media", sa.Text, nullable=True),
    # What its account pays when it is handed over (model.money); null for an account without a limit.
    sa.Column("price", sa.BigInteger, nullable=True),
    # What the country's threshold said of it at its first turn, so that a second one says the same (messaging.geo).
    sa.Column("verdict", sa.String(4), nullable=True),
    # The lane: the carrier that it waits for; empty before a route is chosen.
    sa.Column("carrier", sa.String(40), nullable=False, server_default=""),
    sa.Column("route", sa.String(40), nullable=True),
    # JSON of routing.choose.Try: routes that did not take it.
    sa.Column("tried", sa.Text, nullable=True),
    # How often it was handed over without anybody knowing whether it arrived.
    sa.Column("unknowns", sa.Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
sa.Index("ix_submissions_carrier", submissions.c.carrier, submissions.c.due_at_us)

early_receipts = sa.Table(
    "early_receipts",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("connector", sa.Text, nullable=False),
    sa.Column("carrier_ref", sa.Text, nullable=False),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("error_code", sa.String(8), nullable=True),
    sa.Column("at_us", _Time, nullable=False),
    sa.Column("detail", sa.Text, nullable=True),
)
sa.Index("ix_early_receipts_carrier_ref", early_receipts.c.connector, early_receipts.c.carrier_ref)
sa.Index("ix_early_receipts_at_us", early_receipts.c.at_us)

callbacks = sa.Table(
    "callbacks",
    metadata,
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("account_id", _AuthId, nullable=False),
    sa.Column("message_uuid", _Uuid, nullable=False, index=True),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("method", sa.String(4), nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    # A JSON list of pairs, fixed when the event happened: every attempt sends the same parameters.
    sa.Column("params", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("created_at_us", _Time, nullable=False),
    sa.Column("done_at_us", _Time, nullable=True),
    # The callback that somebody had sent once more.
    sa.Column("resend_of", _Uuid, nullable=True),
    # What its message asked for.
    sa.Column("retry_delays", sa.Text, nullable=True),
    # What it tells: a message's status (status), an inbound message (message), or something else, which then has no
    # message (store.callbacks).
    sa.Column("kind", sa.String(12), nullable=False),
    sqlite_with_rowid=False,
)
sa.Index(
    "ix_callbacks_without_message",
    callbacks.c.created_at_us,
    sqlite_where=callbacks.c.kind.in_(("alert", "async")),
    postgresql_where=callbacks.c.kind.in_(("alert", "async")),
)
sa.Index(
    "ix_callbacks_resend_of",
    callbacks.c.resend_of,
    sqlite_where=callbacks.c.resend_of.is_not(None),
    postgresql_where=callbacks.c.resend_of.is_not(None),
)
# Ids are in time order: this lists an account's callbacks by time.
sa.Index("ix_callbacks_account_id", callbacks.c.account_id, callbacks.c.id)
# Given-up callbacks are few and asked for on every overview.
sa.Index(
    "ix_callbacks_given_up",
    callbacks.c.created_at_us,
    sqlite_where=callbacks.c.state == "given_up",
    postgresql_where=callbacks.c.state == "given_up",
)

replays = sa.Table(
    "replays",
    metadata,
    sa.Column("id", _Uuid, primary_key=True),
    # Whose it is; null for an operator's, whatever accounts its filter takes.
    sa.Column("account_id", _AuthId, nullable=True),
    # JSON of store.resends.Filter.
    sa.Column("filter", sa.Text, nullable=False),
    sa.Column("rate_per_s", sa.Double, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    # False where there were too many to count: then there are at least so many.
    sa.Column("counted_all", sa.Boolean, nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    # The callback up to which everything has been sent once more.
    sa.Column("after_id", sa.String(36), nullable=False),
    sa.Column("created_at_us", _Time, nullable=False),
    sa.Column("updated_at_us", _Time, nullable=False),
    # When its next callbacks may go; null when it has ended.
    sa.Column("due_at_us", _Time, nullable=True),
    sqlite_with_rowid=False,
)
sa.Index("ix_replays_account_id", replays.c.account_id, replays.c.id)
sa.Index(
    "ix_replays_due_at_us",
    replays.c.due_at_us,
    sqlite_where=replays.c.due_at_us.is_not(None),
    postgresql_where=replays.c.due_at_us.is_not(None),
)

endpoints = sa.Table(
    "endpoints",
    metadata,
    # Derived from the two columns after it, so that nobody has to look it up.
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("account_id", _AuthId, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("created_at_us", _Time, nullable=False),
    # The circuit (model.circuit).
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("reason", sa.Text, nullable=True),
    sa.Column("paused_by", sa.String(8), nullable=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("proven", sa.Boolean, nullable=False),
    sa.Column("cooldown_us", sa.BigInteger, nullable=False),
    sa.Column("probe_at_us", _Time, nullable=True),
    sa.Column("parked_at_us", _Time, nullable=True),
    sa.Column("reopened_at_us", _Time, nullable=True),
    # The lane of its first attempts (store.endpoints), which follows from the circuit.
    sa.Column("lane", sa.String(8), nullable=False),
    # When its queue is worth a look, for first attempts and for retries; null when there is nothing to find.
    sa.Column("first_ready_at_us", _Time, nullable=True),
    sa.Column("retry_ready_at_us", _Time, nullable=True),
    # As many attempts are out as its window allows: new callbacks wait for one to end.
    sa.Column("is_full", sa.Boolean, nullable=False),
    # When a claim last looked into its queue.
    sa.Column("looked_at_us", _Time, nullable=False),
    # Limits of its own; null where the settings apply.
    sa.Column("concurrency", sa.Integer, nullable=True),
    sa.Column("rate_per_minute", sa.Integer, nullable=True),
    sa.Column("retry_delays", sa.Text, nullable=True),
    sa.Column("keep_parked", sa.Boolean, nullable=True),
    sqlite_with_rowid=False,
)
sa.Index("ix_endpoints_account_id", endpoints.c.account_id)
sa.Index("ix_endpoints_state", endpoints.c.state)
sa.Index(
    "ix_endpoints_first_ready",
    endpoints.c.lane,
    endpoints.c.first_ready_at_us,
    sqlite_where=endpoints.c.first_ready_at_us.is_not(None),
    postgresql_where=endpoints.c.first_ready_at_us.is_not(None),
)
sa.Index(
    "ix_endpoints_retry_ready",
    endpoints.c.retry_ready_at_us,
    sqlite_where=endpoints.c.retry_ready_at_us.is_not(None),
    postgresql_where=endpoints.c.retry_ready_at_us.is_not(None),
)

callback_queue = sa.Table(
    "callback_queue",
    metadata,
    sa.Column("callback_id", _Uuid, primary_key=True),
    sa.Column("message_uuid", _Uuid, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("endpoint_id", sa.String(32), nullable=False),
    sa.Column("is_retry", sa.Boolean, nullable=False),
    sa.Column("attempts_made", sa.Integer, nullable=False),
    # Null while an earlier callback of the same message has not had its first attempt.
    sa.Column("due_at_us", _Time, nullable=True),
    # What the plan said, while due_at_us stands for the end of a lease.
    sa.Column("planned_at_us", _Time, nullable=True),
    sa.Column("lease_token", _Uuid, nullable=True),
    sqlite_with_rowid=False,
)
sa.Index(
    "ix_callback_queue_due",
    callback_queue.c.endpoint_id,
    callback_queue.c.is_retry,
    callback_queue.c.due_at_us,
    sqlite_where=callback_queue.c.due_at_us.is_not(None),
    postgresql_where=callback_queue.c.due_at_us.is_not(None),
)
sa.Index("ix_callback_queue_message_uuid", callback_queue.c.message_uuid, callback_queue.c.sequence)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("callback_id", _Uuid, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("planned_at_us", _Time, nullable=False),
    sa.Column("started_at_us", _Time, nullable=False),
    sa.Column("duration_us", sa.BigInteger, nullable=False),
    sa.Column("outcome", sa.String(12), nullable=False),
    sa.Column("http_status", sa.Integer, nullable=True),
    sa.Column("request_headers", sa.Text, nullable=False),
    sa.Column("response_headers", sa.Text, nullable=False),
    sa.Column("response_body", sa.LargeBinary, nullable=False),
    sa.Column("error", sa.Text, nullable=True),
    sqlite_with_rowid=False,
)

received_requests = sa.Table(
    "received_requests",
    metadata,
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("received_at_us", _Time, nullable=False),
    sa.Column("method", sa.String(8), nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("headers", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("peer", sa.String(64), nullable=False),
    # What verified it (v3, v2), or why it was refused.
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("accepted", sa.Boolean, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index(
    "ix_received_requests_source_received_at_us",
    received_requests.c.source,
    received_requests.c.received_at_us,
)

received_events = sa.Table(
    "received_events",
    metadata,
    sa.Column("request_id", _Uuid, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("message_uuid", sa.String(64), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=True),
    sa.Column("from_number", sa.Text, nullable=False),
    sa.Column("to_number", sa.Text, nullable=False),
    sa.Column("error_code", sa.Text, nullable=True),
    sa.Column("mcc", sa.Text, nullable=True),
    sa.Column("mnc", sa.Text, nullable=True),
    sa.Column("units", sa.Integer, nullable=True),
    sa.Column("total_amount", sa.Text, nullable=True),
    sa.Column("received_at_us", _Time, nullable=False),
    # Empty, or why it changes nothing: duplicate, out_of_order, late; or reconciled: from the provider's list.
    sa.Column("flag", sa.String(12), nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("ix_received_events_message", received_events.c.source, received_events.c.message_uuid)
sa.Index(
    "uq_received_events_once",
    received_events.c.source,
    received_events.c.message_uuid,
    received_events.c.status,
    unique=True,
    sqlite_where=received_events.c.flag != "duplicate",
    postgresql_where=received_events.c.flag != "duplicate",
)

rollups = sa.Table(
    "rollups",
    metadata,
    sa.Column("account_id", _AuthId, primary_key=True),
    sa.Column("hour_at_us", _Time, primary_key=True),
    sa.Column("measure", sa.String(16), primary_key=True),
    sa.Column("bucket", sa.String(16), primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

logins = sa.Table(
    "logins",
    metadata,
    sa.Column("secret_hash", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("created_at_us", _Time, nullable=False),
    sa.Column("expires_at_us", _Time, nullable=False, index=True),
    # Whom a link lets in: a user, or anybody of an account; an operator without both.
    sa.Column("user_id", _Uuid, nullable=True),
    sa.Column("account_id", _AuthId, nullable=True),
)

# Secrets that Ringback made for itself, the same in every process.
keys = sa.Table(
    "keys",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("secret", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# Hot: callbacks of inbound messages that have ended, whose messages do not know it yet.
inbound_results = sa.Table(
    "inbound_results",
    metadata,
    sa.Column("callback_id", _Uuid, primary_key=True),
    sa.Column("message_uuid", _Uuid, nullable=False, index=True),
    sa.Column("account_id", _AuthId, nullable=False),
    # delivered or given_up, and the attempt that ended it, whose answer may ask for something.
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("attempt_number", sa.Integer, nullable=True),
    sa.Column("ended_at_us", _Time, nullable=False),
    sa.Column("due_at_us", _Time, nullable=False, index=True),
    sa.Column("lease_token", _Uuid, nullable=True),
    sqlite_with_rowid=False,
)

xml_replies = sa.Table(
    "xml_replies",
    metadata,
    sa.Column("callback_id", _Uuid, primary_key=True),
    sa.Column("message_uuid", _Uuid, nullable=False, index=True),
    sa.Column("at_us", _Time, nullable=False),
    # executed, repeated (an earlier answer about the message was executed) or malformed.
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("detail", sa.Text, nullable=True),
    # A JSON list of what became of each element (store.replies.Part).
    sa.Column("parts", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# Who wants no message from which number, now.
opt_outs = sa.Table(
    "opt_outs",
    metadata,
    sa.Column("recipient", sa.String(20), primary_key=True),
    sa.Column("number", sa.String(20), primary_key=True),
    sa.Column("account_id", _AuthId, nullable=True),
    sa.Column("since_us", _Time, nullable=False),
    sqlite_with_rowid=False,
)

opt_out_history = sa.Table(
    "opt_out_history",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("recipient", sa.String(20), nullable=False),
    sa.Column("number", sa.String(20), nullable=False),
    sa.Column("account_id", _AuthId, nullable=True),
    # optout, optin or help; and who said so: recipient or operator.
    sa.Column("intent", sa.String(8), nullable=False),
    sa.Column("said_by", sa.String(10), nullable=False),
    sa.Column("message_uuid", _Uuid, nullable=True),
    sa.Column("confirmation_uuid", _Uuid, nullable=True),
    sa.Column("at_us", _Time, nullable=False),
)
sa.Index("ix_opt_out_history_pair", opt_out_history.c.recipient, opt_out_history.c.number)
sa.Index(
    "ix_opt_out_history_confirmation_uuid",
    opt_out_history.c.confirmation_uuid,
    sqlite_where=opt_out_history.c.confirmation_uuid.is_not(None),
    postgresql_where=opt_out_history.c.confirmation_uuid.is_not(None),
)

opt_out_texts = sa.Table(
    "opt_out_texts",
    metadata,
    sa.Column("account_id", _AuthId, primary_key=True),
    sa.Column("intent", sa.String(8), primary_key=True),
    # Empty where nothing is to be answered.
    sa.Column("text", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# Hot until answered: inbound messages that somebody wants the simulated carrier to bring.
inbound_requests = sa.Table(
    "inbound_requests",
    metadata,
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("src", sa.Text, nullable=False),
    sa.Column("dst", sa.Text, nullable=False),
    sa.Column("type", sa.String(8), nullable=False),
    # Null once it is answered: the message has it, if anybody may.
    sa.Column("text", sa.Text, nullable=True),
    sa.Column("media_urls", sa.Text, nullable=False),
    sa.Column("requested_at_us", _Time, nullable=False),
    sa.Column("due_at_us", _Time, nullable=True),
    sa.Column("lease_token", _Uuid, nullable=True),
    sa.Column("message_uuid", _Uuid, nullable=True),
    sa.Column("refusal", sa.Text, nullable=True),
    sqlite_with_rowid=False,
)
sa.Index(
    "ix_inbound_requests_due_at_us",
    inbound_requests.c.due_at_us,
    sqlite_where=inbound_requests.c.due_at_us.is_not(None),
    postgresql_where=inbound_requests.c.due_at_us.is_not(None),
)

conversions = sa.Table(
    "conversions",
    metadata,
    # The last of a message stands; those before it are its history.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("message_uuid", _Uuid, nullable=False, index=True),
    sa.Column("account_id", _AuthId, nullable=False),
    sa.Column("status", sa.String(24), nullable=False),
    sa.Column("converted_at_us", _Time, nullable=False),
    sa.Column("recorded_at_us", _Time, nullable=False),
)
