"""The table ``baseline``; and alerts about volumes and distributions are of the source, not of a partition.

The open ones of partitions are resolved without a notification: a later delivery opens what still holds.
"""

from alembic import op

revision = "0025"
down_revision = "0024"

TABLE = """
CREATE TABLE etl.baseline (
    source text NOT NULL,
    column_name text NOT NULL,
    statistic text NOT NULL,
    delivery_id bigint NOT NULL REFERENCES etl.delivery,
    accepted_by text NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    note text NOT NULL DEFAULT '',
    PRIMARY KEY (source, column_name, statistic)
);
COMMENT ON TABLE etl.baseline IS
    'The delivery that brought the level of a number which a person accepted as the usual one; deliveries before it do '
    'not count.';
COMMENT ON COLUMN etl.baseline.column_name IS 'Empty for the number of records.';
"""
OF_PARTITIONS = """
UPDATE etl.alert SET status = 'resolved', resolved_at = clock_timestamp(),
    resolution = 'Since this version such an alert is of the source, not of a partition.'
WHERE status = 'open' AND (rule = 'volume_drop' OR (rule = 'check_failed' AND subject IN ('volume', 'distribution')));
"""


def upgrade() -> None:
    """Create the table, and resolve the alerts that nothing would resolve any more."""
    op.execute(TABLE)
    op.execute(OF_PARTITIONS)


def downgrade() -> None:
    """Remove the table; the alerts stay resolved."""
    op.execute("DROP TABLE etl.baseline")
