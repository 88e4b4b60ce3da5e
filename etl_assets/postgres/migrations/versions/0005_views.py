"""What analysts read: data quality by day, the health of each source, what records were rejected for.

The views belong to the migrator, so that who reads them needs no right on the tables below. They hold no record
contents: names, numbers and times alone.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

QUALITY_DAILY = """
CREATE VIEW etl.quality_daily WITH (security_barrier) AS
WITH run AS (
    SELECT (started_at AT TIME ZONE 'UTC')::date AS day, source, count(*) AS runs,
        count(*) FILTER (WHERE status IN ('failed', 'crashed')) AS failed_runs
    FROM etl.run GROUP BY 1, 2
), fetched AS (
    SELECT (fetched_at AT TIME ZONE 'UTC')::date AS day, source, count(*) AS deliveries
    FROM etl.delivery GROUP BY 1, 2
), line AS (
    SELECT (b.committed_at AT TIME ZONE 'UTC')::date AS day, d.source,
        coalesce(sum(b.read) FILTER (WHERE b.kind = 'ingest'), 0)::bigint AS read,
        coalesce(sum(b.rejected) FILTER (WHERE b.kind = 'ingest'), 0)::bigint AS rejected,
        sum(b.inserted)::bigint AS inserted, sum(b.updated)::bigint AS updated,
        sum(b.unchanged)::bigint AS unchanged, sum(b.duplicate)::bigint AS duplicate
    FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id GROUP BY 1, 2
), result AS (
    SELECT (at AT TIME ZONE 'UTC')::date AS day, source, count(*) FILTER (WHERE NOT passed) AS checks_failed
    FROM etl.check_result GROUP BY 1, 2
)
SELECT day, source, coalesce(runs, 0) AS runs, coalesce(failed_runs, 0) AS failed_runs,
    coalesce(deliveries, 0) AS deliveries, coalesce(read, 0) AS read, coalesce(rejected, 0) AS rejected,
    round(rejected::numeric / nullif(read, 0), 6) AS rejected_share, coalesce(inserted, 0) AS inserted,
    coalesce(updated, 0) AS updated, coalesce(unchanged, 0) AS unchanged, coalesce(duplicate, 0) AS duplicate,
    coalesce(checks_failed, 0) AS checks_failed
FROM run FULL JOIN fetched USING (day, source) FULL JOIN line USING (day, source) FULL JOIN result USING (day, source);
COMMENT ON VIEW etl.quality_daily IS 'By day (UTC) and source: runs, deliveries, records, rows, failed checks.';
COMMENT ON COLUMN etl.quality_daily.failed_runs IS 'Runs that failed or crashed; cancelled ones are not among them.';
COMMENT ON COLUMN etl.quality_daily.rejected_share IS 'rejected / read; null when nothing was read.';
"""

SOURCE_HEALTH = """
CREATE VIEW etl.source_health WITH (security_barrier) AS
WITH source AS (
    SELECT source FROM etl.run UNION SELECT source FROM etl.delivery
), success AS (
    SELECT source, started_at, ended_at, started_at - lag(started_at) OVER (PARTITION BY source ORDER BY started_at)
        AS pause, row_number() OVER (PARTITION BY source ORDER BY started_at DESC) AS age
    FROM etl.run WHERE status = 'succeeded'
), rhythm AS (
    SELECT source, max(ended_at) AS last_success_at,
        CASE WHEN count(pause) FILTER (WHERE age <= 20) >= 3 THEN
            percentile_cont(0.5) WITHIN GROUP (ORDER BY pause) FILTER (WHERE age <= 20) END AS usual_pause
    FROM success GROUP BY 1
), latest AS (
    SELECT DISTINCT ON (source) source, status, started_at FROM etl.run ORDER BY source, started_at DESC, id DESC
), failure AS (
    SELECT r.source, count(*) AS consecutive FROM etl.run r WHERE r.status IN ('failed', 'crashed')
        AND NOT EXISTS (SELECT FROM etl.run s WHERE s.source = r.source AND s.status = 'succeeded'
            AND (s.started_at, s.id) > (r.started_at, r.id))
    GROUP BY 1
), delivery AS (
    SELECT d.id, d.source, d.records, d.generation,
        row_number() OVER (PARTITION BY d.source ORDER BY d.id DESC) AS age
    FROM etl.delivery d
), volume AS (
    SELECT source, max(records) FILTER (WHERE age = 1) AS last_records,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY records) AS median_records
    FROM delivery WHERE age <= 20 GROUP BY 1
), share AS (
    SELECT d.source, round(sum(b.rejected) / nullif(sum(b.read), 0), 6) AS rejected_share
    FROM delivery d JOIN etl.batch b ON b.delivery_id = d.id AND b.generation = d.generation AND b.kind = 'ingest'
    WHERE d.age = 1 GROUP BY 1
), waiting AS (
    SELECT source, count(*) FILTER (WHERE status = 'open') AS open_rejected,
        count(*) FILTER (WHERE status = 'parked') AS parked,
        min(rejected_at) FILTER (WHERE status = 'open') AS oldest_open_at
    FROM etl.rejected WHERE status IN ('open', 'parked') GROUP BY 1
), drift AS (
    SELECT source, count(*) AS open_drift FROM etl.drift WHERE status = 'open' GROUP BY 1
), alert AS (
    SELECT source, count(*) AS open_alerts FROM etl.alert WHERE status = 'open' GROUP BY 1
)
SELECT source, last_success_at, clock_timestamp() - last_success_at AS age,
    coalesce(clock_timestamp() - last_success_at > 2 * usual_pause, false) AS stale,
    latest.status AS last_run_status, latest.started_at AS last_run_at,
    coalesce(consecutive, 0) AS consecutive_failures,
    coalesce(open_rejected, 0) AS open_rejected, coalesce(parked, 0) AS parked, oldest_open_at,
    coalesce(open_drift, 0) AS open_drift, coalesce(open_alerts, 0) AS open_alerts,
    rejected_share AS last_rejected_share, last_records, median_records
FROM source LEFT JOIN rhythm USING (source) LEFT JOIN latest USING (source) LEFT JOIN failure USING (source)
    LEFT JOIN volume USING (source) LEFT JOIN share USING (source) LEFT JOIN waiting USING (source)
    LEFT JOIN drift USING (source) LEFT JOIN alert USING (source);
COMMENT ON VIEW etl.source_health IS 'How each source is now.';
COMMENT ON COLUMN etl.source_health.stale IS
    'Whether the last success is older than twice the usual pause between two; false with fewer than four successes.';
COMMENT ON COLUMN etl.source_health.consecutive_failures IS 'Runs that failed or crashed since the last success.';
COMMENT ON COLUMN etl.source_health.last_rejected_share IS 'Of the newest delivery, as far as it was read.';
COMMENT ON COLUMN etl.source_health.median_records IS 'Of the last twenty deliveries.';
"""

REJECTIONS_BY_RULE = """
CREATE VIEW etl.rejections_by_rule WITH (security_barrier) AS
WITH line AS (
    SELECT d.source, d.partition, sum(b.read) AS read
    FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id AND d.generation = b.generation
    WHERE b.kind = 'ingest' GROUP BY 1, 2
), broken AS (
    SELECT r.source, r.partition, rule, r.status, count(*) AS records, min(r.rejected_at) AS first_seen_at,
        max(r.rejected_at) AS last_seen_at
    FROM etl.rejected r CROSS JOIN LATERAL unnest(r.rules) rule GROUP BY 1, 2, 3, 4
)
SELECT source, partition, rule, status, records, round(records / nullif(read, 0), 6) AS share, first_seen_at,
    last_seen_at
FROM broken LEFT JOIN line USING (source, partition);
COMMENT ON VIEW etl.rejections_by_rule IS
    'How many records broke each rule, by source, partition and what has become of them since.';
COMMENT ON COLUMN etl.rejections_by_rule.records IS 'A record that broke several rules counts for each of them.';
COMMENT ON COLUMN etl.rejections_by_rule.share IS
    'records / records read of the source partition; null when none of them is in the ledger any more.';
"""


def upgrade() -> None:
    """Make the views."""
    for view in (QUALITY_DAILY, SOURCE_HEALTH, REJECTIONS_BY_RULE):
        op.execute(view)


def downgrade() -> None:
    """Drop the views."""
    op.execute("DROP VIEW etl.quality_daily, etl.source_health, etl.rejections_by_rule")
