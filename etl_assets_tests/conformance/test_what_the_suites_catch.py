"""A stage that breaks its contract does not pass the suite: the named test fails for each wrong variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from etl_assets.extract.formats.csv import Csv
from etl_assets_tests.conformance.test_csv_conforms import TestCsvConforms as _CsvConforms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Format, Naming
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.rule import RuleInfo


@dataclass(frozen=True)
class Altered(Csv):
    """Delimited text whose batches are altered."""

    def read(self, stream: BinaryIO, member: str, **arguments: Any) -> Iterator[RawBatch]:
        for batch in super().read(stream, member, **arguments):
            self.alter(batch)
            yield batch

    def alter(self, batch: Any) -> None:
        """Break the contract."""


class WithoutBytes(Altered):
    def alter(self, batch: Any) -> None:
        batch.raw = lambda record_no: b""  # noqa: ARG005 -- the same for all


class WithTheSameBytes(Altered):
    def alter(self, batch: Any) -> None:
        first = batch.raw(batch.span.first_record)
        batch.raw = lambda record_no: first  # noqa: ARG005 -- the same for all


class AllInOnePlace(Altered):
    def alter(self, batch: Any) -> None:
        batch.location = lambda record_no: "member:1"  # noqa: ARG005 -- the same for all


class NotReread(Csv):
    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        raise NotImplementedError


class RereadAsNothing(Csv):
    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        return super().reread(names, dict(list(records.items())[:1]), context)


class WithoutRules(Csv):
    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        return ()


class OtherNaming(Csv):
    @property
    def naming(self) -> Naming:
        return "union"


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        (WithoutBytes, "test_the_bytes_of_every_record_are_in_the_file_one_after_another"),
        (WithTheSameBytes, "test_the_bytes_of_every_record_are_in_the_file_one_after_another"),
        (AllInOnePlace, "test_every_record_has_its_own_location_which_names_the_member"),
        (NotReread, "test_a_record_that_is_reread_from_its_bytes_is_the_same"),
        (RereadAsNothing, "test_a_record_that_is_reread_from_its_bytes_is_the_same"),
        (WithoutRules, "test_the_rules_that_malformed_records_break_are_stated"),
        (OtherNaming, "test_the_names_follow_the_naming_of_the_format"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_suite_fails_for_a_wrong_format(wrong: type[Csv], test: str) -> None:
    suite = _CsvConforms()
    getattr(suite, test)()
    variant: Format = wrong(batch_bytes=200)
    suite.format = variant  # type: ignore[assignment]
    with pytest.raises((AssertionError, NotImplementedError)):
        getattr(suite, test)()
