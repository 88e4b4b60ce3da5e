"""Extractors that are declared already, and for whose records a schema is inferred."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import Extractor
from etl_assets.model.partitions import Partition, Partitioning

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@dataclass(frozen=True)
class DeclaredExtractor:
    """The variable ``EXTRACTOR`` of a file, and ``PARTITIONS`` if it has that.

    Attributes:
        extractor: The extractor.
        partitions: How its source is cut; None if it is not.
        path: Of the file.
    """

    extractor: Extractor
    partitions: Partitioning | None
    path: Path

    @classmethod
    def of(cls, module: ModuleType, path: Path) -> DeclaredExtractor:
        """Return the extractor that a module declares.

        Raises:
            DeclarationError: If it declares none.
        """
        extractor, partitions = getattr(module, "EXTRACTOR", None), getattr(module, "PARTITIONS", None)
        where = f"file {path}"
        if not isinstance(extractor, Extractor):
            remedy = "Write EXTRACTOR = RestExtractor(…), or another extractor"
            raise DeclarationError(where, "EXTRACTOR", "is no extractor", remedy)
        if partitions is not None and not isinstance(partitions, Partitioning):
            raise DeclarationError(
                where, "PARTITIONS", "are no partitions", "Write PARTITIONS = Daily(…), or leave it out"
            )
        return cls(extractor, partitions, path)

    @property
    def partition(self) -> Partition:
        """The newest partition; the whole if there are none.

        Raises:
            DeclarationError: If there is no partition yet.
        """
        if self.partitions is None:
            return Partition()
        keys = self.extractor.keys(self.partitions, datetime.now(UTC))
        if not keys:
            remedy = "Let them start earlier, or wait for the first file"
            raise DeclarationError(f"file {self.path}", "PARTITIONS", "have none yet", remedy)
        return self.partitions.partition(keys[-1])
