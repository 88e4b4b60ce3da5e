"""The time of a delivery, from which the versions of rows are valid that it brought."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE etl.delivery ADD COLUMN valid_from timestamptz")
    op.execute(
        "COMMENT ON COLUMN etl.delivery.valid_from IS "
        "'From when the versions of rows are valid that it brought; null if its table has no versions.'"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE etl.delivery DROP COLUMN valid_from")
