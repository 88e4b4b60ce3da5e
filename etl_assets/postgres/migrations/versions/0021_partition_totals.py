"""The table ``partition_total``, which triggers on the ledger and the run history keep, for metrics.

The triggers are in the database, so that runs of the version before are counted too.
"""

from alembic import op

revision = "0021"
down_revision = "0020"

TABLE = """
CREATE TABLE etl.partition_total (
    source text NOT NULL,
    partition text NOT NULL,
    read bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    inserted bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0,
    deleted bigint NOT NULL DEFAULT 0,
    succeeded bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    crashed bigint NOT NULL DEFAULT 0,
    seconds double precision NOT NULL DEFAULT 0,
    succeeded_at timestamptz,
    PRIMARY KEY (source, partition)
);
COMMENT ON TABLE etl.partition_total IS
    'What was read and written of a source partition, and how its runs ended, since it is known; triggers on etl.batch '
    'and etl.run keep it. It only grows, whatever becomes of the entries.';
COMMENT ON COLUMN etl.partition_total.read IS 'Of deliveries, each time that they were read; replays are left out.';
COMMENT ON COLUMN etl.partition_total.succeeded IS 'Runs that succeeded and had something to do.';
COMMENT ON COLUMN etl.partition_total.unchanged IS 'Runs that succeeded and had nothing to do.';
COMMENT ON COLUMN etl.partition_total.seconds IS 'How long the runs took that ended, without those that are unchanged.';
COMMENT ON COLUMN etl.partition_total.succeeded_at IS 'When the last run that succeeded ended.';
"""
# they run with the rights of their owner, so that who writes ledger and history needs none on the totals
OF_LEDGER = """
CREATE FUNCTION etl.add_to_totals() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO etl.partition_total AS t (source, partition, read, rejected, inserted, updated, deleted)
    SELECT d.source, d.partition, CASE NEW.kind WHEN 'ingest' THEN NEW.read ELSE 0 END,
        CASE NEW.kind WHEN 'ingest' THEN NEW.rejected ELSE 0 END, NEW.inserted, NEW.updated, NEW.deleted
    FROM etl.delivery d WHERE d.id = NEW.delivery_id AND right(d.source, 8) <> '@rebuild'
    ON CONFLICT (source, partition) DO UPDATE SET read = t.read + excluded.read,
        rejected = t.rejected + excluded.rejected, inserted = t.inserted + excluded.inserted,
        updated = t.updated + excluded.updated, deleted = t.deleted + excluded.deleted;
    RETURN NULL;
END $$;
"""
OF_RUNS = """
CREATE FUNCTION etl.count_ended_run() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unchanged boolean := NEW.status = 'succeeded' AND NEW.unchanged_since IS NOT NULL;
BEGIN
    INSERT INTO etl.partition_total AS t
        (source, partition, succeeded, unchanged, failed, cancelled, crashed, seconds, succeeded_at)
    VALUES (NEW.source, NEW.partition, (NEW.status = 'succeeded' AND NOT unchanged)::int, unchanged::int,
        (NEW.status = 'failed')::int, (NEW.status = 'cancelled')::int, (NEW.status = 'crashed')::int,
        CASE WHEN unchanged THEN 0
            ELSE coalesce(greatest(extract(epoch FROM NEW.ended_at - NEW.started_at), 0), 0) END,
        CASE NEW.status WHEN 'succeeded' THEN NEW.ended_at END)
    ON CONFLICT (source, partition) DO UPDATE SET succeeded = t.succeeded + excluded.succeeded,
        unchanged = t.unchanged + excluded.unchanged, failed = t.failed + excluded.failed,
        cancelled = t.cancelled + excluded.cancelled, crashed = t.crashed + excluded.crashed,
        seconds = t.seconds + excluded.seconds, succeeded_at = greatest(t.succeeded_at, excluded.succeeded_at);
    RETURN NULL;
END $$;
"""
TRIGGERS = """
CREATE TRIGGER add_to_totals AFTER INSERT ON etl.batch FOR EACH ROW EXECUTE FUNCTION etl.add_to_totals();
CREATE TRIGGER count_ended_run AFTER UPDATE OF status ON etl.run FOR EACH ROW
WHEN (NEW.status <> 'started' AND NEW.status IS DISTINCT FROM OLD.status) EXECUTE FUNCTION etl.count_ended_run();
CREATE TRIGGER count_entered_run AFTER INSERT ON etl.run FOR EACH ROW
WHEN (NEW.status <> 'started') EXECUTE FUNCTION etl.count_ended_run();
"""
FILL = """
INSERT INTO etl.partition_total (source, partition, read, rejected, inserted, updated, deleted)
SELECT d.source, d.partition, coalesce(sum(b.read) FILTER (WHERE b.kind = 'ingest'), 0),
    coalesce(sum(b.rejected) FILTER (WHERE b.kind = 'ingest'), 0), sum(b.inserted), sum(b.updated), sum(b.deleted)
FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id WHERE right(d.source, 8) <> '@rebuild' GROUP BY 1, 2;
INSERT INTO etl.partition_total AS t
    (source, partition, succeeded, unchanged, failed, cancelled, crashed, seconds, succeeded_at)
SELECT source, partition, count(*) FILTER (WHERE status = 'succeeded' AND unchanged_since IS NULL),
    count(*) FILTER (WHERE status = 'succeeded' AND unchanged_since IS NOT NULL),
    count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'cancelled'),
    count(*) FILTER (WHERE status = 'crashed'),
    coalesce(sum(greatest(extract(epoch FROM ended_at - started_at), 0)) FILTER (WHERE unchanged_since IS NULL), 0),
    max(ended_at) FILTER (WHERE status = 'succeeded')
FROM etl.run WHERE status <> 'started' GROUP BY 1, 2
ON CONFLICT (source, partition) DO UPDATE SET succeeded = excluded.succeeded, unchanged = excluded.unchanged,
    failed = excluded.failed, cancelled = excluded.cancelled, crashed = excluded.crashed, seconds = excluded.seconds,
    succeeded_at = excluded.succeeded_at;
"""


def upgrade() -> None:
    """Create the table and the triggers, and count what ledger and history have; batches and runs wait meanwhile."""
    op.execute(TABLE)
    op.execute("LOCK TABLE etl.batch, etl.run IN SHARE ROW EXCLUSIVE MODE")
    op.execute(FILL)
    for statement in (OF_LEDGER, OF_RUNS, TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    """Remove the triggers and the table."""
    op.execute("DROP TRIGGER add_to_totals ON etl.batch")
    op.execute("DROP TRIGGER count_ended_run ON etl.run")
    op.execute("DROP TRIGGER count_entered_run ON etl.run")
    op.execute("DROP FUNCTION etl.add_to_totals, etl.count_ended_run")
    op.execute("DROP TABLE etl.partition_total")
