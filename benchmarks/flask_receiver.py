"""What the receiver is compared with: a web application as the provider's guides have people write it.

Flask, the official SDK's check of the signature, and one row in SQLite for each callback, committed before the answer.
Served by gunicorn. The database gets write-ahead logging and commits that are synced to disk: faster here than SQLite's
own settings, and as durable as what it is compared with.
"""

import os
import sqlite3
from typing import Final

from flask import Flask, Response, g, request
from plivo.utils import validate_v3_signature

TOKEN: Final = os.environ.get("FLASK_RECEIVER_TOKEN", "")
PUBLIC_URL: Final = os.environ.get("FLASK_RECEIVER_PUBLIC_URL", "")
DATABASE: Final = os.environ.get("FLASK_RECEIVER_DATABASE", "callbacks.db")
WAIT_S: Final = 30

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS callbacks (
  id INTEGER PRIMARY KEY, received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, message_uuid TEXT NOT NULL,
  status TEXT NOT NULL, from_number TEXT, to_number TEXT, error_code TEXT, mcc TEXT, mnc TEXT, units TEXT,
  total_amount TEXT
)"""
INSERT: Final = """
INSERT INTO callbacks (message_uuid, status, from_number, to_number, error_code, mcc, mnc, units, total_amount)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
COLUMNS: Final = ("MessageUUID", "Status", "From", "To", "ErrorCode", "MCC", "MNC", "Units", "TotalAmount")

app = Flask(__name__)


def prepare(path: str) -> None:
    """Make the database, before there are workers."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(SCHEMA)
    connection.close()


def _database() -> sqlite3.Connection:
    if "database" not in g:
        g.database = sqlite3.connect(DATABASE, timeout=WAIT_S)
        g.database.execute("PRAGMA synchronous = FULL")
    connection: sqlite3.Connection = g.database
    return connection


@app.teardown_appcontext
def _close(_: BaseException | None) -> None:
    connection = g.pop("database", None)
    if connection is not None:
        connection.close()


@app.post("/hooks/benchmark/sms_status")
def sms_status() -> Response:
    """Verify, store, answer."""
    fields = request.form
    is_valid = validate_v3_signature(
        "POST",
        PUBLIC_URL + request.path,
        request.headers.get("X-Plivo-Signature-V3-Nonce", ""),
        TOKEN,
        request.headers.get("X-Plivo-Signature-V3", ""),
        fields.to_dict(),
    )
    if not is_valid:
        return Response("signature not valid", status=403)
    with _database() as transaction:
        transaction.execute(INSERT, [fields.get(name) for name in COLUMNS])
    return Response(status=200)
