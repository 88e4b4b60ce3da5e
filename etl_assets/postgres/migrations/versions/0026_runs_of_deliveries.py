"""An index of runs by their delivery, for the stories of deliveries: without it, each reads the whole run history."""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Create the index."""
    op.execute("CREATE INDEX run_by_delivery ON etl.run (delivery_id)")


def downgrade() -> None:
    """Remove the index."""
    op.execute("DROP INDEX etl.run_by_delivery")
