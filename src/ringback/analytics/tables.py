"""The tables of the analytics file. Nothing in them is the only copy: they are made from the event log.

Times are UTC, latencies whole milliseconds, sums of money in ``model.money``'s units. What is not known is NULL.
What is summed of a day holds only while the day is in ``sealed_days``: a day that is corrected is taken out there, in
the same transaction.

A message is in ``open_messages`` while more is expected of it, and in ``closed_messages`` from then on; whoever asks
reads the view ``messages``, which is both. Numbers of recipients and texts are not kept: ``dst_prefix`` is the number
without its last four digits.
"""

from typing import Final

SHAPE: Final = 2
"""Number of the present shape: a file of another one is made anew."""

MESSAGE_COLUMNS: Final = """
    message_uuid UUID NOT NULL,       -- of a source whose ids are none: made from the id
    provider_id VARCHAR,              -- the id as the source has it, where it is no uuid
    origin VARCHAR NOT NULL,          -- 'ringback', or the name of the source that told of it
    account_id VARCHAR NOT NULL,
    direction VARCHAR NOT NULL,       -- outbound, inbound
    type VARCHAR,                     -- sms, mms
    src VARCHAR,
    dst_prefix VARCHAR,
    country VARCHAR,                  -- ISO 3166, of the recipient
    mcc VARCHAR,
    mnc VARCHAR,
    network VARCHAR,                  -- what the carrier is called
    carrier VARCHAR,                  -- 'MCC-MNC'
    connector VARCHAR,                -- our link to a carrier
    route VARCHAR,
    status VARCHAR NOT NULL,          -- queued, sent, delivered, undelivered, failed, received
    error_code VARCHAR,
    units INTEGER,
    cost BIGINT,                      -- of all units, in hundred-thousandths of the currency
    trackable BOOLEAN,                -- whether a conversion is expected
    queued_at TIMESTAMP NOT NULL,
    sent_at TIMESTAMP,
    final_at TIMESTAMP,
    queue_ms BIGINT,                  -- queued to sent
    carrier_ms BIGINT,                -- sent to delivered
    total_ms BIGINT,                  -- queued to delivered
    lag_ms BIGINT,                    -- the longest from an event to the callback of it having arrived
    flagged INTEGER NOT NULL,         -- events that changed nothing: duplicates, late ones, out of order
    conversion VARCHAR,               -- CONVERTED, NOT_CONVERTED, CONVERTED_WITH_OTHERS
    converted_at TIMESTAMP
"""

DDL: Final = f"""
CREATE TABLE IF NOT EXISTS meta (name VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    log_offset BIGINT NOT NULL,       -- in the log of its origin
    origin VARCHAR NOT NULL,
    account_id VARCHAR NOT NULL,
    message_uuid UUID NOT NULL,
    sequence INTEGER,
    status VARCHAR NOT NULL,
    flag VARCHAR,                     -- NULL: it changed the message
    error_code VARCHAR,
    "at" TIMESTAMP NOT NULL,
    lag_ms BIGINT                     -- of what was received: from the provider's time to ours
);
CREATE TABLE IF NOT EXISTS sealed_days (day DATE NOT NULL);
CREATE TABLE IF NOT EXISTS summed_days (
    day DATE NOT NULL,
    "by" VARCHAR NOT NULL,            -- as in the sums; there is none where there would be nearly as many as messages
    assumed VARCHAR NOT NULL,         -- countries where sent counted as delivered
    last_sent_at TIMESTAMP            -- of messages without a receipt
);
CREATE TABLE IF NOT EXISTS day_sums (
    day DATE NOT NULL,
    "by" VARCHAR NOT NULL,            -- hour, or what ``key`` is: country, carrier, ...
    start_at TIMESTAMP NOT NULL,      -- of the hour, or of the day
    key VARCHAR,
    name VARCHAR,                     -- what the carrier is called
    account_id VARCHAR NOT NULL,
    origin VARCHAR NOT NULL,
    direction VARCHAR NOT NULL,
    accepted INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    receipts INTEGER NOT NULL,
    undelivered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    received INTEGER NOT NULL,
    assumed INTEGER NOT NULL,
    trackable INTEGER NOT NULL,
    converted INTEGER NOT NULL,
    converted_elsewhere INTEGER NOT NULL,
    not_converted INTEGER NOT NULL,
    units BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    unpriced INTEGER NOT NULL,
    flagged BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS event_sums (
    day DATE NOT NULL,
    start_at TIMESTAMP NOT NULL,      -- of the hour
    account_id VARCHAR NOT NULL,
    origin VARCHAR NOT NULL,
    is_inbound BOOLEAN NOT NULL,      -- whether their message is
    status VARCHAR NOT NULL,
    counts BOOLEAN NOT NULL,          -- whether they changed a message
    events INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS open_messages ({MESSAGE_COLUMNS});
CREATE TABLE IF NOT EXISTS closed_messages ({MESSAGE_COLUMNS});
CREATE VIEW IF NOT EXISTS messages AS SELECT * FROM closed_messages UNION ALL SELECT * FROM open_messages;
"""
