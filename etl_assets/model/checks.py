"""Names of the checks that every source has, besides those of its rules and of its expectations."""

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
DECLARATION: Final = "declaration"
"""The check of a file that does not load: it fails until the file loads."""
BUILT_IN: Final = frozenset(
    {SHAPE, REJECTED_SHARE, CONSERVATION, DRIFT, VOLUME, DISTRIBUTION, KEYS_AT_SOURCE, DELETIONS, AUDIT, DECLARATION}
)
