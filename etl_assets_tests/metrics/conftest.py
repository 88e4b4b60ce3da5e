"""The fixtures of `cli`, in which commands run, and `january`: a process over their run history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.conftest import desks, prepared  # noqa: F401 -- fixtures
from etl_assets_tests.cli.desk import prepare_january
from etl_assets_tests.metrics.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk
    from etl_assets_tests.metrics.serving import Serving


@pytest.fixture
def history(prepared: Prepared) -> Desk:  # noqa: F811 -- the fixture
    """A warehouse with the stations and a day of readings, of which two records wait."""
    return prepared(prepare_january)


@pytest.fixture
def january(history: Desk) -> Iterator[Serving]:
    """A process that serves the metrics of `history`."""
    with serving(history.environment) as served:
        assert served.port, "".join(served.log)
        yield served
