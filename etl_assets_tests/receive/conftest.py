"""The fixtures `receiver`, of one test, and `shared`, a process for the tests of a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.graph.conftest import bench, dagster_home, empty_home, url  # noqa: F401 -- fixtures
from etl_assets_tests.receive.receiving import receiving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.receive.receiving import Receiving


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiving]:
    """A receiver that the test declares sources for and starts."""
    with receiving(tmp_path) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    """A running receiver of several sources with small limits."""
    with receiving(tmp_path_factory.mktemp("shared"), TEST_SIGNING="a-secret-for-signatures") as receiver:
        receiver.declare("orders")
        receiver.declare("stock")
        receiver.declare("small", 'token=Secret("TEST_TOKEN"), max_bytes=1000, timeout=1, deadline=3')
        receiver.declare("full", 'token=Secret("TEST_TOKEN"), max_waiting=1')
        receiver.declare("hooks", 'signature=Signature(Secret("TEST_SIGNING"))')
        receiver.declare(
            "stamped", 'signature=Signature(Secret("TEST_SIGNING"), header="Stripe-Signature", timestamped=True)'
        )
        receiver.start("--at-once", "4")
        yield receiver
