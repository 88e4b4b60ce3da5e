"""The numbers of records of four real feeds are anomalous where a person would say so, and nowhere else."""

from __future__ import annotations

import pytest

from etl_assets.model.monitors import Volume
from etl_assets.watch.anomaly import check_volume
from etl_assets.watch.history_statistics import Point
from etl_assets_tests.real_feeds.taking import ground_truth, with_real_feeds

pytestmark = with_real_feeds
STRANGE = {
    "datahub_country_codes": ["0024_20180806T203038Z_b912009622.csv"],  # the file twice
    "datahub_currency_codes": ["0009_20241021T070124Z_f2d9a17249.csv"],  # empty
    "jhu_daily_reports": ["03-22-2020.csv"],  # from countries to counties
    "ecb_eurofxref_zip": [],
}


@pytest.mark.parametrize("feed", STRANGE)
def test_volumes_of_real_feeds_are_anomalous_where_a_person_would_say_so(feed: str) -> None:
    told = [(file, Point(about["rows"])) for file, about in ground_truth(feed).items()]
    history = [point for _, point in told]
    assert [
        file for place, (file, point) in enumerate(told) if not check_volume(point, history[:place], Volume()).passed
    ] == STRANGE[feed]
