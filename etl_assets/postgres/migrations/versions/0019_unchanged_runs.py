"""Runs that found nothing to do: since when, and which run's verdict stands."""

from alembic import op

revision = "0019"
down_revision = "0018"

CHANGES = """
ALTER TABLE etl.run
    ADD COLUMN declaration text,
    ADD COLUMN unchanged_since timestamptz,
    ADD COLUMN verdict_run_id text;
COMMENT ON COLUMN etl.run.declaration IS 'Fingerprint of what decides how the run ends, besides the delivery.';
COMMENT ON COLUMN etl.run.unchanged_since IS 'When the delivery was fetched, of a run that found nothing new.';
COMMENT ON COLUMN etl.run.verdict_run_id IS 'The run whose check results stand, of a run that found nothing new.';
CREATE INDEX run_by_partition ON etl.run (source, partition, id DESC);
"""


def upgrade() -> None:
    """Change the table."""
    op.execute(CHANGES)


def downgrade() -> None:
    """Take the changes back."""
    op.execute("DROP INDEX etl.run_by_partition")
    op.execute("ALTER TABLE etl.run DROP COLUMN declaration, DROP COLUMN unchanged_since, DROP COLUMN verdict_run_id")
