"""What is remembered of deliveries: what they looked like, what changed, what their columns held."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = """
CREATE TABLE etl.observation (
    delivery_id bigint PRIMARY KEY REFERENCES etl.delivery,
    source text NOT NULL,
    rank text COLLATE "C" NOT NULL,
    published jsonb NOT NULL,
    cells jsonb,
    observed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE etl.observation IS 'What each delivery looked like: the baseline of the one after it.';
COMMENT ON COLUMN etl.observation.published IS 'Published names in order, with hashes of some values of each.';
COMMENT ON COLUMN etl.observation.cells IS 'How the cells of mapped columns were written; null until loaded.';
CREATE INDEX observation_in_order ON etl.observation (source, rank, delivery_id);

CREATE TABLE etl.drift (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    kind text NOT NULL CHECK (kind IN
        ('added', 'removed', 'renamed', 'reordered', 'retyped', 'format', 'null_word', 'category')),
    subject text NOT NULL,
    replacement text NOT NULL DEFAULT '',
    status text NOT NULL CHECK (status IN ('open', 'accepted', 'ignored', 'resolved')),
    foreseen boolean NOT NULL DEFAULT false,
    blocking boolean NOT NULL DEFAULT false,
    detail jsonb NOT NULL DEFAULT '{}',
    proposal text NOT NULL DEFAULT '',
    first_delivery bigint NOT NULL REFERENCES etl.delivery,
    last_delivery bigint NOT NULL REFERENCES etl.delivery,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz,
    closed_delivery bigint REFERENCES etl.delivery,
    reviewer text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT ''
);
COMMENT ON TABLE etl.drift IS 'Changes of what is published, open until accepted, ignored or taken back.';
CREATE UNIQUE INDEX drift_open ON etl.drift (source, kind, subject, replacement) WHERE status = 'open';
CREATE INDEX drift_by_source ON etl.drift (source, status, id);

CREATE TABLE etl.profile_part (
    delivery_id bigint NOT NULL REFERENCES etl.delivery,
    generation integer NOT NULL,
    number integer NOT NULL,
    statistics bytea NOT NULL,
    cells jsonb NOT NULL,
    PRIMARY KEY (delivery_id, generation, number)
);
ALTER TABLE etl.profile_part ALTER COLUMN statistics SET STORAGE EXTERNAL; -- they do not compress
COMMENT ON TABLE etl.profile_part IS 'Profiles of batches, written with them; merged when the delivery is complete.';

CREATE TABLE etl.profile (
    delivery_id bigint NOT NULL REFERENCES etl.delivery,
    column_name text NOT NULL,
    rows bigint NOT NULL,
    nulls bigint NOT NULL,
    distinct_estimate double precision,
    minimum text,
    maximum text,
    mean double precision,
    deviation double precision,
    quantiles jsonb,
    top jsonb,
    PRIMARY KEY (delivery_id, column_name)
);
COMMENT ON TABLE etl.profile IS 'What each column of each delivery held: values of the data, as in the tables.';
COMMENT ON COLUMN etl.profile.distinct_estimate IS 'Exact below 1024, then with a standard error of 3.1 %.';
COMMENT ON COLUMN etl.profile.mean IS 'Of a text its bytes, of a date days, of a timestamp seconds since 1970.';
COMMENT ON COLUMN etl.profile.quantiles IS 'Rank, 0 to 1, to value, in the numbers of the mean.';
COMMENT ON COLUMN etl.profile.top IS 'Values that 1 % of the rows or more have, with their numbers of rows.';
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop the tables and everything in them."""
    op.execute("DROP TABLE etl.profile, etl.profile_part, etl.drift, etl.observation")
