"""Comparisons of the keys of sources with those of tables, and the rows whose key the source no longer has."""

from alembic import op

revision = "0014"
down_revision = "0013"

TABLES = """
CREATE TABLE etl.key_comparison (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    partition text NOT NULL,
    run_id text NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sha256 text NOT NULL,
    keys bigint NOT NULL,
    unreadable bigint NOT NULL,
    rows_compared bigint NOT NULL,
    newly_absent bigint NOT NULL,
    returned bigint NOT NULL,
    absent bigint NOT NULL,
    concluded boolean NOT NULL
);
COMMENT ON TABLE etl.key_comparison IS
    'Each comparison of the keys of a source partition with those of its table. No keys, only their number.';
COMMENT ON COLUMN etl.key_comparison.sha256 IS 'Of the list of keys in the landing store.';
COMMENT ON COLUMN etl.key_comparison.keys IS 'Number of records that were listed.';
COMMENT ON COLUMN etl.key_comparison.unreadable IS 'How many of them have a key that is not written as declared.';
COMMENT ON COLUMN etl.key_comparison.rows_compared IS
    'Rows of the table that a delivery of the partition brought before the comparison began.';
COMMENT ON COLUMN etl.key_comparison.newly_absent IS 'How many of them are not listed, and were listed before.';
COMMENT ON COLUMN etl.key_comparison.returned IS 'Rows that were absent and are listed again.';
COMMENT ON COLUMN etl.key_comparison.absent IS 'Rows of the partition that are entered as absent now.';
COMMENT ON COLUMN etl.key_comparison.concluded IS
    'Whether newly absent rows were entered: not if they are too many, or if a key is unreadable.';
CREATE INDEX key_comparison_newest ON etl.key_comparison (source, partition, began_at DESC);

CREATE TABLE etl.absent_row (
    delivery_id bigint NOT NULL REFERENCES etl.delivery,
    record_no bigint NOT NULL,
    source text NOT NULL,
    partition text NOT NULL,
    comparison_id bigint NOT NULL REFERENCES etl.key_comparison,
    absent_since timestamptz NOT NULL,
    PRIMARY KEY (delivery_id, record_no)
);
COMMENT ON TABLE etl.absent_row IS
    'The rows of tables whose key the source no longer has, by their mark: the record that gave them their contents.';
COMMENT ON COLUMN etl.absent_row.comparison_id IS 'The comparison that found it.';
COMMENT ON COLUMN etl.absent_row.absent_since IS 'When that comparison began.';
CREATE INDEX absent_row_by_source ON etl.absent_row (source, partition);

CREATE VIEW etl.absent_at_source WITH (security_barrier) AS
    SELECT source, partition, delivery_id AS _delivery_id, record_no AS _record_no, absent_since FROM etl.absent_row;
COMMENT ON VIEW etl.absent_at_source IS
    'The rows whose key the source no longer has; join it to their table by _delivery_id and _record_no.';
"""


def upgrade() -> None:
    """Make the tables and the view."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them, and what they say of rows; the rows stay."""
    op.execute("DROP VIEW etl.absent_at_source")
    op.execute("DROP TABLE etl.absent_row, etl.key_comparison")
