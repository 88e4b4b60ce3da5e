"""Files in a bucket of S3."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import s3fs

from etl_assets import Secret
from etl_assets.extract.access.s3 import S3
from etl_assets_tests.extract.places.place_suite import Place, PlaceSuite, assert_a_cut_is_no_delivery
from etl_assets_tests.proxy import proxied


class S3Place(Place):
    def __init__(self, server: str) -> None:
        self.access: S3 = S3(Secret("FEED_PASSWORD"), Secret("FEED_PASSWORD"), endpoint=server)
        self.bucket = f"b{uuid.uuid4().hex}"
        self.location = f"s3://{self.bucket}/in"
        self._system = _publisher(server)
        self._system.mkdir(self.bucket)

    def write(self, name: str, data: bytes) -> None:
        self._system.pipe_file(f"{self.bucket}/in/{name}", data)

    def make_old(self, name: str) -> None:
        """Do nothing: another version has another ETag."""


@cache
def _publisher(server: str) -> Any:
    """Return the client by which all tests write; the server accepts any login."""
    return s3fs.S3FileSystem(key="publisher", secret="publisher", endpoint_url=server)


@pytest.fixture
def place(s3_url: str) -> S3Place:
    return S3Place(s3_url)


class TestS3(PlaceSuite):
    large = 20_000_000

    @pytest.fixture
    def place(self, place: S3Place) -> S3Place:
        return place


def test_a_connection_that_is_cut_in_the_middle_is_no_delivery(place: S3Place) -> None:
    place.write("a.csv", b"x" * 12_000_000)
    with proxied(place.access.endpoint) as proxy:
        access = replace(place.access, endpoint=proxy.url, timeout=1.0)
        assert_a_cut_is_no_delivery(proxy, f"{place.location}/a.csv", access)
