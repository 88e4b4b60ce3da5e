"""How many rows an entry of the ledger left as they were that have their contents from another delivery.

Null in entries of before: there, all that were left as they were may be meant.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

CONFIRMED = """
ALTER TABLE etl.batch ADD COLUMN confirmed bigint;
COMMENT ON COLUMN etl.batch.confirmed IS
    'Rows among the unchanged, at most, that have their contents from another delivery; null means any of them.';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(CONFIRMED)


def downgrade() -> None:
    """Drop the column."""
    op.execute("ALTER TABLE etl.batch DROP COLUMN confirmed")
