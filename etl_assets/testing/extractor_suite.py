"""The contract of every Extractor as a suite: a test class derives from `ExtractorSuite`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from etl_assets.errors import DeliveryMissingError
from etl_assets.landing.land import batches, index, land
from etl_assets.landing.store import LandingStore

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.extract.base import Extractor
    from etl_assets.model.partitions import Partition


class ExtractorSuite(ABC):
    """Derive from this, and provide the fixtures ``extractor``, ``there`` and ``missing``."""

    @pytest.fixture
    @abstractmethod
    def extractor(self) -> Extractor:
        """Has records for the partition ``there`` and nothing for ``missing``."""

    @pytest.fixture
    @abstractmethod
    def there(self) -> Partition:
        """A partition that can be fetched."""

    @pytest.fixture
    @abstractmethod
    def missing(self) -> Partition:
        """A partition for which there is nothing."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> LandingStore:
        return LandingStore(str(tmp_path / "landing"))

    def test_the_extractor_is_a_frozen_value_with_a_valid_declaration(self, extractor: Extractor) -> None:
        assert is_dataclass(extractor)
        assert fields(extractor)
        hash(extractor)
        extractor.check("source 'x'")

    def test_a_fetch_has_a_name_an_origin_and_bytes(self, extractor: Extractor, there: Partition) -> None:
        with extractor.fetch(there) as fetched:
            assert fetched.name
            assert fetched.origin
            assert fetched.stream.read()

    def test_fetching_twice_returns_the_same_bytes(self, extractor: Extractor, there: Partition) -> None:
        digests = set()
        for _ in range(2):
            with extractor.fetch(there) as fetched:
                digests.add(sha256(fetched.stream.read()).hexdigest())
        assert len(digests) == 1

    def test_a_missing_partition_raises_an_error(self, extractor: Extractor, missing: Partition) -> None:
        with pytest.raises(DeliveryMissingError, match="Nothing was written"), extractor.fetch(missing):
            pass

    def test_every_record_of_a_landed_delivery_can_be_read_back(
        self, extractor: Extractor, there: Partition, store: LandingStore
    ) -> None:
        manifest = land(extractor, there, store)
        assert manifest.records > 0
        read = sum(batch.frame.height + batch.malformed.height for batch in batches(extractor, store, manifest))
        assert read == manifest.records

    def test_landing_and_indexing_again_change_nothing(
        self, extractor: Extractor, there: Partition, store: LandingStore
    ) -> None:
        manifest = land(extractor, there, store)
        assert land(extractor, there, store) == manifest
        assert index(extractor, store, manifest) == manifest
