"""The Validator stage: finds the records of a batch that keep the schema, and casts their values."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from etl_assets.model.declaration import Declaration

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch, Verdict
    from etl_assets.model.rule import RuleInfo
    from etl_assets.schema import Schema


class Validator(Declaration):
    """Validates batches against schemas. A frozen dataclass, declared in a `Source` and shared by its runs."""

    def check(self, schema: Schema, where: str) -> None:
        """Raise a `DeclarationError` unless the validator can evaluate a schema.

        Args:
            schema: The contract; `Schema.check` has passed it.
            where: How the error names the owner, e.g. ``source 'flights'``.
        """

    def rules(self, schema: Schema) -> tuple[RuleInfo, ...]:  # noqa: ARG002 -- most have none of their own
        """Return the rules that it adds to those of the schema; each gets a check, and is listed like them."""
        return ()

    @abstractmethod
    def validate(self, raw: RawBatch, schema: Schema) -> Verdict:
        """Validate every record of a batch.

        Args:
            raw: The batch as published. It is only read.
            schema: The contract.

        Returns:
            Each record of the batch once: among the rows, typed, if it keeps every rule; otherwise among the
            rejected, with every rule that it broke. Malformed records are among the rejected.

        Raises:
            ShapeError: If a required column is missing from the delivery; no record is validated.
            RuleError: If the expression or function of a rule fails.
        """
