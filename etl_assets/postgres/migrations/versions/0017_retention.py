"""What retention dropped, from when on rows are kept, and how many rows of a batch were older."""

from alembic import op

revision = "0017"
down_revision = "0016"

TABLES = """
ALTER TABLE etl.batch ADD COLUMN expired bigint NOT NULL DEFAULT 0;
ALTER TABLE etl.run ADD COLUMN expired bigint NOT NULL DEFAULT 0;
ALTER TABLE etl.batch DROP CONSTRAINT rows_add_up;
ALTER TABLE etl.batch ADD CONSTRAINT rows_add_up
    CHECK (produced = inserted + updated + unchanged + duplicate + expired);
COMMENT ON COLUMN etl.batch.expired IS 'Rows that were not written, for they are older than what the table keeps.';

CREATE TABLE etl.retention (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    column_name text NOT NULL,
    keep text NOT NULL,
    kept_from date NOT NULL,
    dropped_from date,
    child_tables integer NOT NULL,
    rows bigint NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE etl.retention IS 'The child tables that were dropped because all of their rows were too old.';
COMMENT ON COLUMN etl.retention.kept_from IS
    'Rows before this day are not written any more; the greatest one of a source counts.';
COMMENT ON COLUMN etl.retention.dropped_from IS 'The first day of the oldest child table; null if none was dropped.';
COMMENT ON COLUMN etl.retention.rows IS 'How many rows the child tables had.';
CREATE INDEX retention_by_source ON etl.retention (source, kept_from);
"""

FORMER = """
DROP TABLE etl.retention;
ALTER TABLE etl.batch DROP CONSTRAINT rows_add_up, DROP COLUMN expired;
ALTER TABLE etl.batch ADD CONSTRAINT rows_add_up CHECK (produced = inserted + updated + unchanged + duplicate);
ALTER TABLE etl.run DROP COLUMN expired;
"""


def upgrade() -> None:
    """Add the counts and the table."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them; entries with rows that were too old must not exist."""
    op.execute(FORMER)
