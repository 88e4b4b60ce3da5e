"""Deliveries that must be read again, because a newer one no longer has a row that theirs may have been hidden by."""

from alembic import op

revision = "0009"
down_revision = "0008"

COLUMN = """
ALTER TABLE etl.delivery ADD COLUMN needs_reload boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN etl.delivery.needs_reload IS
    'Another delivery no longer yields a row of which this one may have another version: the next run reloads it.';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(COLUMN)


def downgrade() -> None:
    """Drop the column."""
    op.execute("ALTER TABLE etl.delivery DROP COLUMN needs_reload")
