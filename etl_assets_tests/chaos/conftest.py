"""The same feed as the loader's tests have."""

from __future__ import annotations

from etl_assets_tests.load.conftest import feed

__all__ = ["feed"]
