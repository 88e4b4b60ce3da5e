"""The Transformer stage: takes and returns a pandas frame."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.model.declaration import Declaration

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Transformer(Declaration):
    """Reshapes the valid records of a batch into rows.

    A subclass is a frozen dataclass; its fields are its settings. It gets one batch at a time and must keep no state
    between batches: batches are retried, resumed and loaded in parallel.
    """

    @abstractmethod
    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Transform records into rows.

        Args:
            frame: One row for each valid record: the published columns of the schema under their table names, typed
                (Arrow-backed). The index is the record number.

        Returns:
            Rows with every column of the schema. The index is still the record number. A record without a row counts
            as filtered; a record number that occurs several times is one record that became several rows.
        """
