"""Files with assets and checks that are written by hand, over the feeds of a desk."""

from __future__ import annotations

from typing import Final

MART: Final = """
import dagster as dg

@dg.asset(key=["marts", "{name}"], deps=[["core", "readings"]])
def mart(): ...
"""
CHECK: Final = """
import dagster as dg

@dg.asset_check(asset=["core", "stations"])
def there_are_three():
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description="There are two.")
"""
