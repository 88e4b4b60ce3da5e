"""A quick version of the table of truth: one feed of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.alarms import generated
from etl_assets_tests.alarms.judging import judge

if TYPE_CHECKING:
    from etl_assets_tests.alarms.feed import Feed

FEEDS = generated.all_kinds(range(1))


@pytest.mark.parametrize("feed", FEEDS, ids=[feed.name for feed in FEEDS])
def test_every_true_change_of_a_generated_feed_has_an_alert_and_none_stays_open(feed: Feed) -> None:
    verdict = judge(feed, feed.alerts())
    assert (verdict.recall, verdict.left_open) == (1.0, 0)
    assert verdict.right >= 0.75 * verdict.alerts
