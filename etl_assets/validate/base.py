"""The Validator stage: which records of a batch keep the schema, and what their values are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch, Verdict


class Validator(ABC):
    """Judges batches against a schema."""

    @abstractmethod
    def validate(self, raw: RawBatch) -> Verdict:
        """Judge every record of a batch.

        Args:
            raw: The batch as published. It is only read.

        Returns:
            Each record of the batch once: among the rows, typed, when it keeps every rule; otherwise among the
            rejected, with every rule it broke. Malformed records are among the rejected.

        Raises:
            ShapeError: If a required column is missing from the delivery; no record is judged.
        """
