"""Entries of completions, the rows that deliveries no longer had, and the references between tables."""

from alembic import op

revision = "0015"
down_revision = "0014"

TABLES = """
ALTER TABLE etl.batch DROP CONSTRAINT batch_kind_check;
ALTER TABLE etl.batch ADD CONSTRAINT batch_kind_check CHECK (kind IN ('ingest', 'replay', 'completion'));
ALTER TABLE etl.batch ADD COLUMN notes jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN etl.batch.notes IS
    'What the write mode found, by name; staged: its rows are beside the table until a completion.';

CREATE TABLE etl.deletion (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deleted_by bigint NOT NULL REFERENCES etl.delivery,
    source text NOT NULL,
    partition text NOT NULL,
    key jsonb NOT NULL,
    delivery_id bigint NOT NULL,
    record_no bigint NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE etl.deletion IS
    'The rows that were deleted because a complete delivery no longer had their key, and that delivery.';
COMMENT ON COLUMN etl.deletion.deleted_by IS 'The delivery that no longer had the key.';
COMMENT ON COLUMN etl.deletion.delivery_id IS 'The delivery whose record had given the row its contents.';
CREATE INDEX deletion_by_key ON etl.deletion (source, key);
CREATE INDEX deletion_by_delivery ON etl.deletion (deleted_by);

CREATE TABLE etl.reference (
    table_name text NOT NULL,
    columns text[] NOT NULL,
    parent_table text NOT NULL,
    parent_columns text[] NOT NULL,
    PRIMARY KEY (table_name, columns, parent_table, parent_columns)
);
COMMENT ON TABLE etl.reference IS 'Which columns of loaded tables refer to which other tables, by declaration.';
CREATE INDEX reference_by_parent ON etl.reference (parent_table);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them; entries of completions must not exist."""
    op.execute("DROP TABLE etl.reference, etl.deletion")
    op.execute("ALTER TABLE etl.batch DROP COLUMN notes, DROP CONSTRAINT batch_kind_check")
    op.execute("ALTER TABLE etl.batch ADD CONSTRAINT batch_kind_check CHECK (kind IN ('ingest', 'replay'))")
