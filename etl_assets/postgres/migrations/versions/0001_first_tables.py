"""The first tables: deliveries, the ledger, the quarantine, fences, run history, check results."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE etl.delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    partition text NOT NULL,
    rank text COLLATE "C" NOT NULL,
    sha256 text NOT NULL,
    size bigint NOT NULL,
    records bigint NOT NULL,
    manifest jsonb NOT NULL,
    fetched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    status text NOT NULL DEFAULT 'landed' CHECK (status IN ('landed', 'loading', 'complete', 'refused')),
    generation integer NOT NULL DEFAULT 1,
    fingerprint text NOT NULL DEFAULT '',
    completed_at timestamptz,
    refusal text
);
COMMENT ON TABLE etl.delivery IS 'What one fetch of one source partition brought.';
CREATE INDEX delivery_newest ON etl.delivery (source, partition, id DESC);

CREATE TABLE etl.batch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint NOT NULL REFERENCES etl.delivery,
    generation integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('ingest', 'replay')),
    number integer NOT NULL,
    run_id text NOT NULL,
    epoch bigint NOT NULL,
    first_record bigint NOT NULL,
    last_record bigint NOT NULL,
    read bigint NOT NULL,
    rejected bigint NOT NULL,
    filtered bigint NOT NULL,
    accepted bigint NOT NULL,
    produced bigint NOT NULL,
    inserted bigint NOT NULL,
    updated bigint NOT NULL,
    unchanged bigint NOT NULL,
    duplicate bigint NOT NULL,
    deleted bigint NOT NULL,
    rules jsonb NOT NULL DEFAULT '{}',
    hash_seed bigint NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (delivery_id, generation, kind, number),
    CONSTRAINT records_add_up CHECK (read = rejected + filtered + accepted),
    CONSTRAINT rows_add_up CHECK (produced = inserted + updated + unchanged + duplicate)
);
COMMENT ON TABLE etl.batch IS 'The ledger: one line per committed batch, written in the batch''s own transaction.';
COMMENT ON COLUMN etl.batch.rules IS 'How many records broke each rule, reported ones included.';

CREATE TABLE etl.rejected (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint NOT NULL REFERENCES etl.delivery,
    record_no bigint NOT NULL,
    generation integer NOT NULL,
    source text NOT NULL,
    partition text NOT NULL,
    location text NOT NULL,
    raw bytea NOT NULL,
    fields jsonb,
    rules text[] NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'parked', 'replayed', 'dismissed', 'superseded')),
    fingerprint text NOT NULL,
    run_id text NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    replays integer NOT NULL DEFAULT 0,
    correction jsonb,
    reviewer text,
    reviewed_at timestamptz,
    note text,
    UNIQUE (delivery_id, record_no)
);
COMMENT ON TABLE etl.rejected IS 'The quarantine: records that broke a rule, with their bytes as delivered.';
CREATE INDEX rejected_by_source ON etl.rejected (source, status, id);

CREATE TABLE etl.fence (
    source text NOT NULL,
    partition text NOT NULL,
    epoch bigint NOT NULL,
    run_id text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, partition)
);
COMMENT ON TABLE etl.fence IS 'Which run may write a source partition: the one that holds the newest epoch.';

CREATE TABLE etl.run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL,
    source text NOT NULL,
    partition text NOT NULL,
    delivery_id bigint REFERENCES etl.delivery,
    status text NOT NULL CHECK (status IN ('started', 'succeeded', 'failed')),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    seconds jsonb NOT NULL DEFAULT '{}',
    read bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    filtered bigint NOT NULL DEFAULT 0,
    accepted bigint NOT NULL DEFAULT 0,
    produced bigint NOT NULL DEFAULT 0,
    inserted bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    duplicate bigint NOT NULL DEFAULT 0,
    deleted bigint NOT NULL DEFAULT 0,
    error_class text,
    error text,
    UNIQUE (run_id, source, partition)
);
COMMENT ON TABLE etl.run IS 'Every run of every source: how long, how many, how it ended. No record contents.';

CREATE TABLE etl.check_result (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL,
    source text NOT NULL,
    partition text NOT NULL,
    delivery_id bigint REFERENCES etl.delivery,
    name text NOT NULL,
    passed boolean NOT NULL,
    blocking boolean NOT NULL,
    description text NOT NULL DEFAULT '',
    failed_records bigint NOT NULL DEFAULT 0,
    records bigint NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE etl.check_result IS 'Every asset check result, for those who browse data quality in SQL.';
CREATE INDEX check_result_by_source ON etl.check_result (source, name, at DESC);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop the tables and everything in them."""
    op.execute("DROP TABLE etl.check_result, etl.run, etl.fence, etl.rejected, etl.batch, etl.delivery")
