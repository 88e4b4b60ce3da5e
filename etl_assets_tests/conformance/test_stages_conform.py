"""The ready-made loader, and the stages that are documented as examples, keep the contracts of their stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import ingest
from etl_assets.extract.formats.csv import Csv
from etl_assets.load import PostgresLoader
from etl_assets.model.partitions import Partition
from etl_assets.postgres.connection import connected
from etl_assets.schema import Column, Schema
from etl_assets_tests.conformance.extractor_suite import ExtractorSuite
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
        made: Loader = NOTIFYING.NotifyingLoader()
        return made


class TestDocumentedValidator(ValidatorSuite):
    def validator(self) -> Validator:
        made: Validator = CHECK_DIGITS.CheckDigits("note")
        return made


def test_documented_check_digits_are_checked_quarantined_and_listed(warehouse_url: str, tmp_path: Path) -> None:
    columns = (Column("n", "integer", required=True), Column("ean", "text"))
    world = World(warehouse_url, tmp_path, Schema(columns, key=("n",)), "articles")
    world.more["validator"] = CHECK_DIGITS.CheckDigits("ean")
    report = world.take("1,4006381333931", "2,4006381333932", "3,", header="n,ean")
    assert report.rules == {"ean__check_digit": 1}
    assert [record.rules for record in world.waiting()] == [["ean__check_digit"]]
    assert "ean ends with its check digit" in {rule.words for rule in world.source.rules}
    plain = world.other(more={}).source
    assert plain.fingerprint != world.source.fingerprint


def test_a_documented_notification_comes_with_what_is_committed_and_with_nothing_else(
    warehouse_url: str, tmp_path: Path
) -> None:
    world = World(warehouse_url, tmp_path, GOODS, "heralded")
    world.more["loader"] = NOTIFYING.NotifyingLoader(channel="rows")
    with connected(warehouse_url) as listener:
        listener.execute("LISTEN rows")

        def heard() -> list[str]:
            return [note.payload for note in listener.notifies(timeout=0.2)]

        world.publish("apple,1,", "plum,x,")
        delivery = world.land().delivery
        ingest.load(world.source, delivery, world.warehouse, "run")
        assert heard() == ["heralded"]
        ingest.load(world.source, delivery, world.warehouse, "run", force=True)
        assert heard() == []
        world.correct(world.waiting()[0], amount="2")
        world.replay()
        assert heard() == ["heralded"]


class TestDocumentedExtractor(ExtractorSuite):
    @pytest.fixture
    def extractor(self) -> Extractor:
        made: Extractor = COUNTING.Counting(Csv(batch_bytes=64), first=3)
        return made

    @pytest.fixture
    def there(self) -> Partition:
        return Partition("70")

    @pytest.fixture
    def missing(self) -> Partition:
        return Partition("seventy")
