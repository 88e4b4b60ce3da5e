"""The table ``row_count``, which a trigger on the ledger keeps, and indexes of deliveries.

The trigger is in the database, so that runs of the version before keep the counts too.
"""

from alembic import op

revision = "0020"
down_revision = "0019"

TABLE = """
CREATE TABLE etl.row_count (
    source text NOT NULL,
    partition text NOT NULL,
    rows bigint NOT NULL,
    versions bigint NOT NULL,
    PRIMARY KEY (source, partition)
);
COMMENT ON TABLE etl.row_count IS
    'How many rows the ledger entries of a partition inserted and did not delete; a trigger on etl.batch keeps it.';
COMMENT ON COLUMN etl.row_count.rows IS 'Of the table; rows that are marked as deleted are among them.';
COMMENT ON COLUMN etl.row_count.versions IS 'How many more rows a table of versions has than the current ones.';
"""
INDEXES = """
CREATE INDEX delivery_unfinished ON etl.delivery (source, partition) WHERE status IN ('landed', 'loading');
CREATE INDEX delivery_to_reload ON etl.delivery (source) WHERE status = 'complete' AND needs_reload;
CREATE INDEX delivery_read_as ON etl.delivery (source, fingerprint) WHERE status = 'complete';
CREATE INDEX delivery_in_order ON etl.delivery (source, rank, id);
"""
FUNCTIONS = (
    """
CREATE FUNCTION etl.entered_rows(entry etl.batch) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_exists(entry.notes, 'staged') THEN 0 WHEN jsonb_exists(entry.notes, 'marked')
        THEN entry.inserted ELSE entry.inserted - entry.deleted END
$$;
""",
    """
CREATE FUNCTION etl.entered_versions(entry etl.batch) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce((entry.notes ->> 'versions')::bigint, 0)
$$;
""",
    # it runs with the rights of its owner, so that who writes the ledger needs none on the counts
    """
CREATE FUNCTION etl.keep_row_count() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE etl.row_count c SET rows = c.rows - etl.entered_rows(OLD),
            versions = c.versions - etl.entered_versions(OLD)
        FROM etl.delivery d WHERE d.id = OLD.delivery_id AND c.source = d.source AND c.partition = d.partition;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO etl.row_count AS c (source, partition, rows, versions)
        SELECT d.source, d.partition, etl.entered_rows(NEW), etl.entered_versions(NEW)
        FROM etl.delivery d WHERE d.id = NEW.delivery_id
        ON CONFLICT (source, partition) DO UPDATE
        SET rows = c.rows + excluded.rows, versions = c.versions + excluded.versions;
    END IF;
    IF TG_OP = 'INSERT' AND NEW.kind = 'completion' THEN
        UPDATE etl.batch SET notes = notes - 'staged'
        WHERE delivery_id = NEW.delivery_id AND jsonb_exists(notes, 'staged');
    END IF;
    RETURN NULL;
END $$;
""",
    """
CREATE FUNCTION etl.recount_rows() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE etl.batch IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM etl.row_count;
    INSERT INTO etl.row_count SELECT d.source, d.partition, sum(etl.entered_rows(b)), sum(etl.entered_versions(b))
    FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id GROUP BY 1, 2;
END $$;
""",
    "COMMENT ON FUNCTION etl.recount_rows() IS 'Fills etl.row_count from the ledger.'",
    "REVOKE EXECUTE ON FUNCTION etl.recount_rows() FROM PUBLIC",
)
FILL = """
LOCK TABLE etl.batch IN SHARE ROW EXCLUSIVE MODE;
UPDATE etl.batch b SET notes = b.notes - 'staged' WHERE jsonb_exists(b.notes, 'staged') AND EXISTS (
    SELECT FROM etl.batch c WHERE c.delivery_id = b.delivery_id AND c.kind = 'completion');
SELECT etl.recount_rows();
CREATE TRIGGER keep_row_count AFTER INSERT OR DELETE OR UPDATE OF delivery_id, inserted, deleted, notes ON etl.batch
FOR EACH ROW EXECUTE FUNCTION etl.keep_row_count();
"""


def upgrade() -> None:
    """Create the table and the trigger, and count what the ledger has; batches wait meanwhile."""
    op.execute(TABLE)
    op.execute(INDEXES)
    for function in FUNCTIONS:
        op.execute(function)
    op.execute(FILL)


def downgrade() -> None:
    """Remove the trigger, the table and the indexes."""
    for name in ("unfinished", "to_reload", "read_as", "in_order"):
        op.execute(f"DROP INDEX etl.delivery_{name}")
    op.execute("DROP TRIGGER keep_row_count ON etl.batch")
    op.execute("DROP FUNCTION etl.keep_row_count(), etl.recount_rows(), etl.entered_rows, etl.entered_versions")
    op.execute("DROP TABLE etl.row_count")
