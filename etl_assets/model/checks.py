"""Names of the asset checks of a source, besides those of its own rules and of its expectations."""

from __future__ import annotations

from typing import Final

SHAPE: Final = "shape"
REJECTED_SHARE: Final = "rejected_share"
CONSERVATION: Final = "conservation"
DRIFT: Final = "drift"
VOLUME: Final = "volume"
DISTRIBUTION: Final = "distribution"
KEYS_AT_SOURCE: Final = "keys_at_source"
DELETIONS: Final = "deletions"
AUDIT: Final = "audit"
"""Also the name of the job that checks stored tables against their declarations."""
RECORD: Final = "record"
"""The check of the rules of whole records that no author named."""
DECLARATION: Final = "declaration"
"""The check of a file that does not load: it fails until the file loads."""
BUILT_IN: Final = frozenset(
    {
        SHAPE,
        REJECTED_SHARE,
        CONSERVATION,
        DRIFT,
        VOLUME,
        DISTRIBUTION,
        KEYS_AT_SOURCE,
        DELETIONS,
        AUDIT,
        RECORD,
        DECLARATION,
    }
)
"""The names that no rule of one's own and no expectation may have."""


def values_check(column: str) -> str:
    """Return the name of the check of all rules of a column.

    Lists are sorted by name in Dagster's UI, and the checks that block a run come before those of columns. A name that
    an author gives to a rule has no two underscores.
    """
    return f"values__{column}"
