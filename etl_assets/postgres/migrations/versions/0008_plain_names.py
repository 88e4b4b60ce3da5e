"""Names that say what a thing is: notifications of alerts, and the step that a run is in."""

from alembic import op

revision = "0008"
down_revision = "0007"

RENAMED = """
ALTER TABLE etl.alert_message RENAME TO notification;
ALTER INDEX etl.alert_message_pkey RENAME TO notification_pkey;
ALTER INDEX etl.alert_message_pending RENAME TO notification_pending;
ALTER INDEX etl.alert_message_sent RENAME TO notification_sent;
COMMENT ON TABLE etl.notification IS 'The outbox: one notification for each alert, event and channel.';
ALTER TABLE etl.run RENAME COLUMN phase TO step;
COMMENT ON TABLE etl.batch IS 'The ledger: one entry for each committed batch, written in its own transaction.';
"""
RENAMED_BACK = """
ALTER TABLE etl.run RENAME COLUMN step TO phase;
ALTER TABLE etl.notification RENAME TO alert_message;
ALTER INDEX etl.notification_pkey RENAME TO alert_message_pkey;
ALTER INDEX etl.notification_pending RENAME TO alert_message_pending;
ALTER INDEX etl.notification_sent RENAME TO alert_message_sent;
"""


def upgrade() -> None:
    """Rename a table and a column."""
    op.execute(RENAMED)


def downgrade() -> None:
    """Give them their former names."""
    op.execute(RENAMED_BACK)
