"""The table ``redaction``: which records of which deliveries were removed from everything, by whom and why."""

from alembic import op

revision = "0022"
down_revision = "0021"

TABLE = """
CREATE TABLE etl.redaction (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint NOT NULL REFERENCES etl.delivery,
    source text NOT NULL,
    partition text NOT NULL,
    records bigint[] NOT NULL,
    removed_sha256 text NOT NULL,
    reason text NOT NULL,
    reviewer text NOT NULL,
    redacted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE etl.redaction IS
    'The records that were removed from the frozen bytes, the table and all of schema etl; no contents of them.';
COMMENT ON COLUMN etl.redaction.records IS 'Their numbers in the delivery.';
COMMENT ON COLUMN etl.redaction.removed_sha256 IS
    'SHA-256 of the frozen bytes that had them; the landing store loses these when no delivery names them.';
CREATE INDEX redaction_by_source ON etl.redaction (source, id);
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(TABLE)


def downgrade() -> None:
    """Drop it; what was redacted stays away."""
    op.execute("DROP TABLE etl.redaction")
