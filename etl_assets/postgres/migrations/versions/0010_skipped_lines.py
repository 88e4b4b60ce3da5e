"""Lines that are no records are counted, a changed end of files is drift, rules that only report name places."""

from alembic import op

revision = "0010"
down_revision = "0009"

COLUMNS = """
ALTER TABLE etl.batch ADD COLUMN skipped bigint NOT NULL DEFAULT 0;
ALTER TABLE etl.run ADD COLUMN skipped bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN etl.batch.skipped IS 'Lines that are no records: comments, and lines before the header.';
ALTER TABLE etl.drift DROP CONSTRAINT drift_kind_check;
ALTER TABLE etl.drift ADD CONSTRAINT drift_kind_check CHECK (kind IN (
    'added', 'removed', 'renamed', 'reordered', 'line_end', 'skipped_lines',
    'retyped', 'format', 'null_word', 'category'));
ALTER TABLE etl.batch ADD COLUMN places jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN etl.batch.places IS 'Places of the first records that broke each rule which only reports.';
"""

FORMER = """
ALTER TABLE etl.batch DROP COLUMN skipped, DROP COLUMN places;
ALTER TABLE etl.run DROP COLUMN skipped;
DELETE FROM etl.drift WHERE kind IN ('line_end', 'skipped_lines');
ALTER TABLE etl.drift DROP CONSTRAINT drift_kind_check;
ALTER TABLE etl.drift ADD CONSTRAINT drift_kind_check CHECK (kind IN (
    'added', 'removed', 'renamed', 'reordered', 'retyped', 'format', 'null_word', 'category'));
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(COLUMNS)


def downgrade() -> None:
    """Drop the columns, and the events of the new kinds."""
    op.execute(FORMER)
