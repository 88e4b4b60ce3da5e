"""What is true of the real feeds, as somebody found who looked at them; each with the reason.

Rules for looking: a change is true if a person who owns the feed would want to be told of it once. For a feed of
numbers of the world that is an event that was in the news, or a number that nobody believes. For a feed that a
publisher edits, it is a delivery in which columns came, went, or were filled otherwise, or in which records are missing
or twice there.
"""

from __future__ import annotations

from typing import Final

from etl_assets_tests.alarms.feed import Truth

FLIGHTS: Final = (
    Truth("2013-01-09", "jump", "the longest delay of the year: 1,301 minutes"),
    Truth("2013-02-08", "gap", "the blizzard Nemo: half of the flights are cancelled", "2013-02-09"),
    Truth("2013-03-08", "jump", "a snow storm: the mean delay is 2 deviations above the usual"),
    Truth("2013-06-15", "jump", "the second longest delay of the year: 1,137 minutes"),
    Truth("2013-07-04", "gap", "Independence Day: a quarter fewer flights"),
    Truth("2013-11-28", "gap", "Thanksgiving: a third fewer flights", "2013-11-29"),
    Truth("2013-12-05", "jump", "fog and ice: a sixth of the departures is cancelled"),
)
WEATHER: Final = (
    Truth("2013-02-12", "jump", "a wind speed of 1,048 miles per hour, a known error", columns=("wind_speed",)),
)
RATES: Final = (
    Truth("2000-05-01", "jump", "the franc leaves the 1.60 at which it was since 1999", columns=("chf",)),
    Truth("2008-12-01", "jump", "the pound falls to nearly one euro", columns=("gbp",)),
    Truth("2015-01-01", "level shift", "the franc is no longer pegged to the euro", columns=("chf",)),
    Truth("2017-11-01", "level shift", "the koruna has left its floor of 27 for good", columns=("czk",)),
    Truth("2020-03-01", "jump", "the Norwegian krone falls with the price of oil", columns=("nok",)),
)
COUNTRIES: Final = (
    Truth("0011_20160602T081231Z_aee6845055.csv", "level shift", "French and official names are in other columns"),
    Truth("0012_20160617T135534Z_410d0178c5.csv", "level shift", "new columns, renamed columns"),
    Truth("0013_20160729T095935Z_8eeec922c8.csv", "jump", "NA, for North America, is no longer lost as a null"),
    Truth("0017_20170115T203000Z_5dd386f7c7.csv", "level shift", "a numeric code has another name"),
    Truth("0018_20170116T213102Z_98b18c183a.csv", "level shift", "geonameid has another name"),
    Truth("0020_20171019T160635Z_a0b3c0b2e2.csv", "level shift", "names in six languages"),
    Truth("0024_20180806T203038Z_b912009622.csv", "unit change", "the file holds its records twice"),
    Truth("0030_20240927T142944Z_fcbe89788a.csv", "level shift", "codes are filled otherwise"),
    Truth("0031_20241001T105513Z_6ccd7f3d5f.csv", "level shift", "wikidata_id is new"),
)
CURRENCIES: Final = (
    Truth("0009_20241021T070124Z_f2d9a17249.csv", "gap", "no records", "0009_20241021T070124Z_f2d9a17249.csv"),
)
REPORTS: Final = (
    Truth(
        "03-01-2020.csv", "level shift", "latitude and longitude are new", "03-13-2020.csv", ("latitude", "longitude")
    ),
    Truth("03-22-2020.csv", "level shift", "counties instead of countries; columns renamed and added"),
    Truth("04-18-2020.csv", "jump", "places without coordinates", columns=("latitude", "longitude")),
    Truth("05-29-2020.csv", "level shift", "two rates are new", columns=("incidence_rate", "case_fatality_ratio")),
)
