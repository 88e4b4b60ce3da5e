"""The same bad record in many deliveries is one case: by its key, or else by its bytes."""

from alembic import op

revision = "0011"
down_revision = "0010"

CASES = """
ALTER TABLE etl.rejected ADD COLUMN key text[];
ALTER TABLE etl.rejected ADD COLUMN identity bytea;
ALTER TABLE etl.rejected ADD COLUMN closed_by bigint REFERENCES etl.delivery;
UPDATE etl.rejected SET identity = sha256(convert_to('content ' || partition || chr(10), 'UTF8') || raw);
ALTER TABLE etl.rejected ALTER COLUMN identity SET NOT NULL;
ALTER TABLE etl.rejected ALTER COLUMN identity SET DEFAULT uuid_send(gen_random_uuid());
COMMENT ON COLUMN etl.rejected.key IS
    'Texts of the key''s columns as published; null if one is missing, or the transformer may change them.';
COMMENT ON COLUMN etl.rejected.identity IS
    'Equal for records that are one case: the hash of the key, or of partition and bytes where there is no key.';
COMMENT ON COLUMN etl.rejected.closed_by IS
    'The delivery that closed it: the key arrived valid, or the same record came again, or had been decided before.';
CREATE INDEX rejected_identity ON etl.rejected (source, identity);
ALTER TABLE etl.rejected DROP CONSTRAINT rejected_status_check;
ALTER TABLE etl.rejected ADD CONSTRAINT rejected_status_check CHECK (status IN (
    'open', 'parked', 'replayed', 'dismissed', 'superseded', 'repeated', 'known', 'corrected'));
CREATE VIEW etl.rejected_case AS
    SELECT r.source, r.identity,
        (array_agg(r.status ORDER BY d.rank DESC, d.id DESC, r.record_no DESC))[1] AS status,
        (array_agg(r.rules ORDER BY d.rank DESC, d.id DESC, r.record_no DESC))[1] AS rules,
        (array_agg(r.id ORDER BY d.rank DESC, d.id DESC, r.record_no DESC))[1] AS newest_record,
        count(DISTINCT d.id) AS deliveries, min(r.rejected_at) AS first_rejected_at,
        max(r.rejected_at) AS last_rejected_at
    FROM etl.rejected r JOIN etl.delivery d ON d.id = r.delivery_id
    GROUP BY r.source, r.identity;
COMMENT ON VIEW etl.rejected_case IS
    'One row for each bad record, however many deliveries brought it; the status is that of its newest delivery.';
"""
FORMER = """
DROP VIEW etl.rejected_case;
UPDATE etl.rejected SET status = 'superseded' WHERE status IN ('repeated', 'known', 'corrected');
ALTER TABLE etl.rejected DROP CONSTRAINT rejected_status_check;
ALTER TABLE etl.rejected ADD CONSTRAINT rejected_status_check CHECK (status IN (
    'open', 'parked', 'replayed', 'dismissed', 'superseded'));
ALTER TABLE etl.rejected DROP COLUMN key, DROP COLUMN identity, DROP COLUMN closed_by;
"""


def upgrade() -> None:
    """Add the columns and the view."""
    op.execute(CASES)


def downgrade() -> None:
    """Drop them; records of the new statuses count as superseded."""
    op.execute(FORMER)
