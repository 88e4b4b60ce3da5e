"""A correction counts once a replay has read it, not as soon as it is entered."""

from alembic import op

revision = "0012"
down_revision = "0011"

COUNTS = """
ALTER TABLE etl.rejected ADD COLUMN correction_counts boolean NOT NULL DEFAULT false;
UPDATE etl.rejected SET correction_counts = true WHERE correction IS NOT NULL AND replays > 0;
COMMENT ON COLUMN etl.rejected.correction_counts IS
    'Whether a replay has read the correction; reloads then read the record as corrected.';
"""


def upgrade() -> None:
    """Add the column; corrections of records that were replayed count."""
    op.execute(COUNTS)


def downgrade() -> None:
    """Drop the column."""
    op.execute("ALTER TABLE etl.rejected DROP COLUMN correction_counts")
