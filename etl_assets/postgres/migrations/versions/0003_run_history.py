"""Run history that knows of attempts, phases, and runs that were cancelled or crashed."""

from alembic import op

revision = "0003"
down_revision = "0002"

CHANGES = """
ALTER TABLE etl.run DROP CONSTRAINT run_status_check;
ALTER TABLE etl.run
    ADD CONSTRAINT run_status CHECK (status IN ('started', 'succeeded', 'failed', 'cancelled', 'crashed')),
    ADD COLUMN job text NOT NULL DEFAULT '',
    ADD COLUMN attempt integer NOT NULL DEFAULT 1,
    ADD COLUMN phase text NOT NULL DEFAULT '',
    ADD COLUMN host text NOT NULL DEFAULT '',
    ADD COLUMN process integer,
    ADD COLUMN missed_at timestamptz;
COMMENT ON COLUMN etl.run.attempt IS '1, and one more each time the run or its step was tried again.';
COMMENT ON COLUMN etl.run.phase IS 'The step it is in, or ended in.';
COMMENT ON COLUMN etl.run.missed_at IS 'When its process was first looked for and not found.';
CREATE INDEX run_under_way ON etl.run (started_at) WHERE status = 'started';
CREATE INDEX run_by_source ON etl.run (source, started_at DESC);
CREATE INDEX check_result_by_run ON etl.check_result (run_id);
CREATE INDEX batch_by_run ON etl.batch (run_id);
"""


def upgrade() -> None:
    """Change the tables."""
    op.execute(CHANGES)


def downgrade() -> None:
    """Take the changes back."""
    op.execute("DROP INDEX etl.run_under_way, etl.run_by_source, etl.check_result_by_run, etl.batch_by_run")
    op.execute("UPDATE etl.run SET status = 'failed' WHERE status IN ('cancelled', 'crashed')")
    op.execute(
        "ALTER TABLE etl.run DROP CONSTRAINT run_status, DROP COLUMN job, DROP COLUMN attempt, DROP COLUMN phase, "
        "DROP COLUMN host, DROP COLUMN process, DROP COLUMN missed_at, "
        "ADD CONSTRAINT run_status_check CHECK (status IN ('started', 'succeeded', 'failed'))"
    )
