"""The feed of the loader's tests, and the desk of the tests of the command line."""

from __future__ import annotations

from etl_assets_tests.cli.conftest import desk
from etl_assets_tests.load.conftest import feed

__all__ = ["desk", "feed"]
