"""The Validator stage: which records of a batch keep the schema, and what their values are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch, Verdict
    from etl_assets.model.rule import RuleInfo
    from etl_assets.schema import Schema


class Validator(ABC):
    """Judges batches against schemas. A frozen dataclass: it is declared in a `Source` and shared by its runs."""

    def check(self, schema: Schema, where: str) -> None:  # noqa: B027 -- most can carry out every sound schema
        """Raise a `DeclarationError` unless a schema can be carried out.

        Args:
            schema: The contract; `Schema.check` has passed it.
            where: What to call its owner in the error, e.g. ``source 'flights'``.
        """

    def rules(self, schema: Schema) -> tuple[RuleInfo, ...]:  # noqa: ARG002 -- most have none of their own
        """The rules that it keeps besides those of the schema; each gets a check, and is listed like them."""
        return ()

    @abstractmethod
    def validate(self, raw: RawBatch, schema: Schema) -> Verdict:
        """Judge every record of a batch.

        Args:
            raw: The batch as published. It is only read.
            schema: The contract.

        Returns:
            Each record of the batch once: among the rows, typed, when it keeps every rule; otherwise among the
            rejected, with every rule it broke. Malformed records are among the rejected.

        Raises:
            ShapeError: If a required column is missing from the delivery; no record is judged.
            RuleError: If a rule of the source's own fails.
        """
