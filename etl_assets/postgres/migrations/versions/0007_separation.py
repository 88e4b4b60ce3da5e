"""The sources whose partitions have no key in common, as far as the rows of their tables were looked through."""

from alembic import op

revision = "0007"
down_revision = "0006"

SEPARATION = """
CREATE TABLE etl.separation (
    source text PRIMARY KEY,
    declaration text NOT NULL,
    known_since timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE etl.separation IS
    'Sources cut by a column of their key: all rows lie in the partition that they came in, under this declaration.';
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(SEPARATION)


def downgrade() -> None:
    """Drop the table."""
    op.execute("DROP TABLE etl.separation")
