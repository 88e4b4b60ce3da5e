"""The table ``decision``: what people entered about rejected records, so that it can be taken back and is known."""

from alembic import op

revision = "0023"
down_revision = "0022"

TABLE = """
CREATE TABLE etl.decision (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rejected_id bigint NOT NULL REFERENCES etl.rejected ON DELETE CASCADE,
    decision text NOT NULL CHECK (decision IN ('corrected', 'dismissed', 'reopened')),
    reviewer text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    note text,
    former_status text NOT NULL,
    former_correction jsonb
);
COMMENT ON TABLE etl.decision IS
    'What people entered about rejected records: each correction, dismissal and reopening, by whom, when and why.';
COMMENT ON COLUMN etl.decision.former_status IS 'Of the record before the decision.';
COMMENT ON COLUMN etl.decision.former_correction IS 'Of the record before the decision; a reopening restores it.';
CREATE INDEX decision_of_record ON etl.decision (rejected_id, id);
"""


def upgrade() -> None:
    """Create the table. Of decisions made before, the newest of each record is in ``etl.rejected``."""
    op.execute(TABLE)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE etl.decision")
