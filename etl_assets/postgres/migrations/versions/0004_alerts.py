"""Alerts and the outbox of the messages that tell of them."""

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = """
CREATE TABLE etl.alert (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    partition text NOT NULL DEFAULT '',
    rule text NOT NULL,
    subject text NOT NULL DEFAULT '',
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved')),
    summary text NOT NULL,
    remedy text NOT NULL DEFAULT '',
    run_id text,
    delivery_id bigint REFERENCES etl.delivery,
    times integer NOT NULL DEFAULT 1,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    acknowledged_at timestamptz,
    acknowledged_by text,
    note text,
    resolved_at timestamptz,
    resolution text
);
COMMENT ON TABLE etl.alert IS 'What people were told of: once when it opened, once when it was resolved.';
COMMENT ON COLUMN etl.alert.subject IS 'What of the source partition: a check, a change, a threshold.';
COMMENT ON COLUMN etl.alert.times IS 'How often what it is about was seen while it was open.';
CREATE UNIQUE INDEX alert_open ON etl.alert (source, partition, rule, subject) WHERE status = 'open';
CREATE INDEX alert_by_source ON etl.alert (source, status, id DESC);

CREATE TABLE etl.alert_message (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES etl.alert,
    event text NOT NULL CHECK (event IN ('opened', 'resolved')),
    channel text NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'dropped')),
    tries integer NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    error text,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz,
    UNIQUE (alert_id, event, channel)
);
COMMENT ON TABLE etl.alert_message IS 'The outbox: one message for each alert, event and channel.';
COMMENT ON COLUMN etl.alert_message.tries IS 'Counted before each try, so that a sender that dies has counted too.';
COMMENT ON COLUMN etl.alert_message.error IS 'Why the last try failed, or why it was dropped; no secrets.';
CREATE INDEX alert_message_pending ON etl.alert_message (channel, id) WHERE status = 'pending';
CREATE INDEX alert_message_sent ON etl.alert_message (channel, sent_at) WHERE status = 'sent';

CREATE INDEX rejected_waiting ON etl.rejected (source, rejected_at) WHERE status IN ('open', 'parked');
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop the tables and everything in them."""
    op.execute("DROP INDEX etl.rejected_waiting")
    op.execute("DROP TABLE etl.alert_message, etl.alert")
