"""How the ledger names a rebuild: a source of its own, whose deliveries are copies of those of the source.

The loader then keeps its ledger, quarantine, locks and fences apart from those of the source, by the code of any load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import LiteralString

    from etl_assets.model.delivery import Delivery

SUFFIX: Final = "@rebuild"
"""What the name of a source has in the ledger while it is rebuilt; no name of a source or an asset contains it."""
OFFSET: Final = 10**18
"""What the id of a copied delivery is greater by; copies have the order of the deliveries."""


def rebuild_of(source: str) -> str:
    """Return the name under which the ledger has the rebuild of a source."""
    return source + SUFFIX


def no_rebuild(source: LiteralString = "source") -> LiteralString:
    """Return the condition, in SQL, that a name is not that of a rebuild."""
    return f"right({source}, {len(SUFFIX)}) <> '{SUFFIX}'"


def preview_command(delivery: Delivery) -> str:
    """Return the command that judges the frozen bytes of a delivery, or of the one that it is a copy of."""
    source = delivery.source.removesuffix(SUFFIX)
    return f"etl-assets preview {source} --delivery {delivery.id - (OFFSET if source != delivery.source else 0)}"


def is_of_rebuild(subject: str) -> bool:
    """Return whether a violation is about the ledger of a rebuild, which is not complete before its swap."""
    return SUFFIX in subject.partition(" (")[0]
