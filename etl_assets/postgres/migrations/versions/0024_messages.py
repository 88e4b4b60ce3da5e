"""Alerts that a person closes, the command of each alert, and notifications that are sent together as one message.

A sender of the version before writes no message; its notifications count as messages of their own.
"""

from alembic import op

revision = "0024"
down_revision = "0023"

CHANGES = """
ALTER TABLE etl.alert
    ADD COLUMN command text NOT NULL DEFAULT '',
    ADD COLUMN closed_by text,
    ADD COLUMN cause_stands boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN etl.alert.command IS 'What to type next, quoted for a shell.';
COMMENT ON COLUMN etl.alert.closed_by IS 'Who closed it although its cause was not known to be gone.';
COMMENT ON COLUMN etl.alert.cause_stands IS
    'A person closed it, and its cause was there since: while it is, no new alert opens about it.';
CREATE INDEX alert_standing ON etl.alert (source, partition, rule) WHERE cause_stands;

ALTER TABLE etl.notification ADD COLUMN message_id bigint, ADD COLUMN receipt text;
COMMENT ON COLUMN etl.notification.message_id IS
    'The first notification of the message that it is sent with; a message that is tried again has the same ones.';
COMMENT ON COLUMN etl.notification.receipt IS 'What the channel needs to change the message later; no secrets.';
UPDATE etl.notification SET message_id = id WHERE tries > 0;
CREATE INDEX notification_of_message ON etl.notification (message_id) WHERE message_id IS NOT NULL;

CREATE TABLE etl.declared_source (
    source text PRIMARY KEY,
    owner text NOT NULL,
    downstream text[] NOT NULL
);
COMMENT ON TABLE etl.declared_source IS
    'What messages say of a source: senders may be processes that have no declarations.';
"""


def upgrade() -> None:
    """Add the columns and the table."""
    op.execute(CHANGES)


def downgrade() -> None:
    """Take the columns and the table away."""
    op.execute("DROP TABLE etl.declared_source")
    op.execute("DROP INDEX etl.notification_of_message, etl.alert_standing")
    op.execute("ALTER TABLE etl.notification DROP COLUMN message_id, DROP COLUMN receipt")
    op.execute("ALTER TABLE etl.alert DROP COLUMN command, DROP COLUMN closed_by, DROP COLUMN cause_stands")
