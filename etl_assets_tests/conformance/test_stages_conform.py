"""The loader of the package and the example stages in the documents conform to the contracts of their stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import ingest
from etl_assets.extract.formats.csv import Csv
from etl_assets.load import PostgresLoader
from etl_assets.model.partitions import Partition
from etl_assets.postgres.connection import connected
from etl_assets.schema import Column, Schema
from etl_assets.testing.extractor_suite import ExtractorSuite
from etl_assets_tests.conformance.loader_suite import LoaderSuite
from etl_assets_tests.conformance.validator_suite import ValidatorSuite
from etl_assets_tests.documented import example
from etl_assets_tests.ingest.world import GOODS, World

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.extract.base import Extractor
    from etl_assets.load import Loader
    from etl_assets.validate import Validator

STAGES = "docs/stages.md"
COUNTING: Any = example(STAGES, "class Counting")
CHECK_DIGITS: Any = example(STAGES, "class CheckDigits")
NOTIFYING: Any = example(STAGES, "class NotifyingLoader")


class TestPostgresLoader(LoaderSuite):
    def loader(self) -> Loader:
        return PostgresLoader()


class TestDocumentedLoader(LoaderSuite):
    def loader(self) -> Loader:
        loader: Loader = NOTIFYING.NotifyingLoader()
        return loader


class TestDocumentedValidator(ValidatorSuite):
    def validator(self) -> Validator:
        validator: Validator = CHECK_DIGITS.CheckDigits("note")
        return validator


def test_the_documented_validator_quarantines_wrong_check_digits_and_lists_its_rule(
    warehouse_url: str, tmp_path: Path
) -> None:
    columns = (Column("n", "integer", required=True), Column("ean", "text"))
    world = World(warehouse_url, tmp_path, Schema(columns, key=("n",)), "articles")
    world.more["validator"] = CHECK_DIGITS.CheckDigits("ean")
    report = world.take("1,4006381333931", "2,4006381333932", "3,", header="n,ean")
    assert report.rules == {"ean__check_digit": 1}
    assert [record.rules for record in world.waiting()] == [["ean__check_digit"]]
    assert "ean ends with its check digit" in {rule.words for rule in world.source.rules}
    plain = world.other(more={}).source
    assert plain.fingerprint != world.source.fingerprint


def test_the_documented_loader_notifies_when_rows_are_committed_and_at_no_other_time(
    warehouse_url: str, tmp_path: Path
) -> None:
    world = World(warehouse_url, tmp_path, GOODS, "notifying")
    world.more["loader"] = NOTIFYING.NotifyingLoader(channel="rows")
    with connected(warehouse_url) as listener:
        listener.execute("LISTEN rows")

        def received() -> list[str]:
            return [note.payload for note in listener.notifies(timeout=0.2)]

        world.publish("apple,1,", "plum,x,")
        delivery = world.land().delivery
        ingest.load(world.source, delivery, world.warehouse, "run")
        assert received() == ["notifying"]
        ingest.load(world.source, delivery, world.warehouse, "run", force=True)
        assert received() == []
        world.correct(world.waiting()[0], amount="2")
        world.replay()
        assert received() == ["notifying"]


class TestDocumentedExtractor(ExtractorSuite):
    @pytest.fixture
    def extractor(self) -> Extractor:
        extractor: Extractor = COUNTING.Counting(Csv(batch_bytes=64), first=3)
        return extractor

    @pytest.fixture
    def there(self) -> Partition:
        return Partition("70")

    @pytest.fixture
    def missing(self) -> Partition:
        return Partition("seventy")
