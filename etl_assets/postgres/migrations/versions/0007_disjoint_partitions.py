"""The sources whose partitions have no key in common, as far as the rows of their tables were looked through."""

from alembic import op

revision = "0007"
down_revision = "0006"

TABLE = """
CREATE TABLE etl.disjoint_partitions (
    source text PRIMARY KEY,
    declaration text NOT NULL,
    known_since timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE etl.disjoint_partitions IS
    'Sources cut by a column of their key: all rows lie in the partition that they came in, under this declaration.';
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(TABLE)


def downgrade() -> None:
    """Drop the table."""
    op.execute("DROP TABLE etl.disjoint_partitions")
