"""Tables of the delivery alerts, as ``store.schema`` has the others."""

import sqlalchemy as sa

from ringback.store.schema import metadata

_Uuid = sa.String(36)
_Time = sa.BigInteger

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", _Uuid, primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    # open, resolved.
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("raised_at_us", _Time, nullable=False),
    sa.Column("resolved_at_us", _Time, nullable=True),
    sa.Column("acknowledged_at_us", _Time, nullable=True),
    sa.Column("muted_until_us", _Time, nullable=True),
    # JSON of model.alerts.Alert; the columns above are there to be searched.
    sa.Column("content", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("ix_alerts_state_raised_at_us", alerts.c.state, alerts.c.raised_at_us)
sa.Index("ix_alerts_muted_until_us", alerts.c.muted_until_us)

alert_notes = sa.Table(
    "alert_notes",
    metadata,
    sa.Column("alert_id", _Uuid, primary_key=True),
    # 1, 2, 3 … within its alert.
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at_us", _Time, nullable=False),
    # raised, worsened, widened, changed, resolved, acknowledged, muted, unmuted.
    sa.Column("what", sa.String(20), nullable=False),
    # Who did it; empty for Ringback itself.
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# One row: when the last look was, by the figures' own time, and when the next one is due.
alert_looks = sa.Table(
    "alert_looks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("due_at_us", _Time, nullable=False),
    sa.Column("as_of_us", _Time, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)
