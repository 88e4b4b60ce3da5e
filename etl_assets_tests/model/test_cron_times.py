"""The times of a cron expression are those at which Dagster ticks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dagster._utils.schedules import cron_string_iterator, reverse_cron_string_iterator

from etl_assets.model.cron_times import CronTimes
from etl_assets.model.trigger import Cron

_AT = datetime(2026, 5, 13, 10, 17, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "*/7 * * * *",
        "0 4 1 * *",
        "30 4 2 * *",
        "30 16 * * 1-5",
        "5,35 */6 * * *",
        "0 0 29 2 *",
        "0 0 l * *",
        "15 3 * * mon#1",
        "15 3 * * l5",
        "0 9 13 * fri",
        "0 9 */2 * mon",
        "0 22-2 * * *",
        "10/20 1 * jan,jun sat-sun",
        "0 12 * * 7",
        "0 0 1 1 *",
    ],
)
def test_a_time_is_that_of_a_tick_of_dagster(expression: str, zone: str) -> None:
    times = CronTimes(Cron(expression, zone))
    for moment in (_AT, _AT.replace(month=1, day=1, hour=0, minute=0), _AT.replace(month=12, day=31, hour=23)):
        before = next(t for t in reverse_cron_string_iterator(moment.timestamp(), expression, zone) if t <= moment)
        after = next(t for t in cron_string_iterator(moment.timestamp(), expression, zone) if t > moment)
        assert (times.before(moment), times.after(moment)) == (before, after)


def test_a_moment_that_is_a_time_is_the_last_one() -> None:
    times = CronTimes(Cron("0 4 * * *"))
    at = datetime(2026, 5, 13, 4, tzinfo=UTC)
    assert (times.before(at), times.after(at)) == (at, at + timedelta(days=1))
