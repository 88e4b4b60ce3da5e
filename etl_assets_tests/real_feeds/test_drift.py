"""Drift over every real feed: nothing that its publisher did goes unsaid, and nothing else is said."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from etl_assets.model.drift import CELL_KINDS
from etl_assets.postgres.connection import connected
from etl_assets.watch.drift import Drift
from etl_assets_tests.real_feeds.taking import ground_truth, warehouse, with_real_feeds
from etl_assets_tests.real_feeds.test_country_codes import countries
from etl_assets_tests.real_feeds.test_currency_codes import currencies
from etl_assets_tests.real_feeds.test_ecb_rates import releases
from etl_assets_tests.real_feeds.test_jhu_daily_reports import reports
from etl_assets_tests.watching import Watch, slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from etl_assets.model.drift import Change, DriftEvent
    from etl_assets.source import Source

pytestmark = with_real_feeds
_FEEDS: dict[str, Callable[[], Source]] = {
    "jhu_daily_reports": reports,
    "datahub_country_codes": countries,
    "datahub_currency_codes": currencies,
    "ecb_eurofxref_zip": releases,
}
_RENAMED_ON_ONE_DAY = {
    "Province/State": "Province_State",
    "Country/Region": "Country_Region",
    "Last Update": "Last_Update",
    "Latitude": "Lat",
    "Longitude": "Long_",
}


@dataclass
class Watched:
    """A feed after every file was looked at, in the order of their ranks."""

    feed: str
    watch: Watch
    drift: dict[str, Drift] = field(default_factory=dict)

    def take(self, *, accepting: bool) -> None:
        source = self.watch.source
        for partition in sorted(map(source.partition, source.extractor.list()), key=lambda each: each.rank):
            self.drift[partition.key] = found = self.watch.poll(partition.key)
            if accepting:
                self.watch.accept(found.unforeseen)

    def opened(self, *kinds: str) -> dict[str, list[Change]]:
        """What each file brought of some kinds; files that brought none are left out."""
        brought = {
            file: [event.change for event in found.opened if event.change.kind in kinds]
            for file, found in self.drift.items()
        }
        return {file: changes for file, changes in brought.items() if changes}


@pytest.fixture(scope="module", params=_FEEDS)
def feed(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=[True, False], ids=["accepted", "untouched"])
def watched(
    request: pytest.FixtureRequest, feed: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    with warehouse(postgres_url, tmp_path_factory.mktemp("landing")) as kept, connected(kept.url) as connection:
        watched = Watched(feed, Watch(_FEEDS[feed](), kept, connection))
        watched.take(accepting=request.param)
        yield watched


jhu = pytest.mark.parametrize("feed", ["jhu_daily_reports"], indirect=True)
country_codes = pytest.mark.parametrize("feed", ["datahub_country_codes"], indirect=True)
currency_codes = pytest.mark.parametrize("feed", ["datahub_currency_codes"], indirect=True)


def test_each_delivery_tells_what_its_publisher_changed_in_the_names_and_no_more(watched: Watched) -> None:
    assert {file: names_changed(found) for file, found in watched.drift.items()} == {
        file: names_that_changed(about) for file, about in ground_truth(watched.feed).items()
    }


def names_changed(found: Drift) -> tuple[set[str], set[str], bool]:
    """The names that came, those that went, and whether the others moved, as events tell it."""
    changes = [event.change for event in found.opened] + [turned(event) for event in found.closed]
    came = {change.subject for change in changes if change.kind == "added"}
    went = {change.subject for change in changes if change.kind == "removed"}
    renamed = {change.subject: change.replacement for change in changes if change.kind == "renamed"}
    moved = any(change.kind == "reordered" for change in changes)
    return came | set(renamed.values()), went | set(renamed), moved


def turned(event: DriftEvent) -> Change:
    """What a delivery did that took an event back."""
    assert event.change.inverse is not None
    kind, subject, replacement = event.change.inverse
    return type(event.change)(kind, subject, replacement)


def names_that_changed(about: dict[str, object]) -> tuple[set[str], set[str], bool]:
    """The same, as it is known of the feed."""
    known = about.get("drift")
    if not isinstance(known, dict):
        return set(), set(), False
    return set(known["added"]), set(known["removed"]), known.get("reordered", False)


def test_of_the_cells_nothing_is_told_but_formats_of_which_each_is_declared(watched: Watched) -> None:
    told_of_cells = watched.opened(*CELL_KINDS)
    assert {change.kind for changes in told_of_cells.values() for change in changes} <= {"format"}
    assert all(change.foreseen for changes in told_of_cells.values() for change in changes)


def test_the_same_files_again_tell_nothing(watched: Watched) -> None:
    reads = watched.watch.reads
    partitions = watched.watch.source.extractor.list()
    assert {watched.watch.poll(key) for key in partitions} == {Drift()}
    assert watched.watch.reads == reads


@jhu
def test_a_format_is_told_exactly_where_the_reports_are_dated_otherwise(watched: Watched) -> None:
    formats = [(file, set(about["last_update_formats"])) for file, about in ground_truth(watched.feed).items()]
    changed = [file for (_, before), (file, now) in itertools.pairwise(formats) if now != before]
    assert len(changed) == 7
    assert sorted(watched.opened("format")) == changed
    assert {change.subject for changes in watched.opened("format").values() for change in changes} == {"updated_at"}


@jhu
def test_the_five_renamings_of_one_day_are_five_renamings(watched: Watched) -> None:
    (changes,) = watched.opened("renamed").values()
    assert {change.subject: change.replacement for change in changes} == _RENAMED_ON_ONE_DAY
    assert list(watched.opened("renamed")) == ["03-22-2020.csv"]
    assert not watched.opened("removed")


@jhu
@pytest.mark.parametrize("watched", [False], ids=["untouched"], indirect=True)
def test_columns_that_nobody_declared_stay_open_with_what_to_declare(watched: Watched) -> None:
    assert {change.subject: change.proposal for change in watched.watch.open_changes()} == {
        "Incidence_Rate": "Column('incidence_rate', 'float', published_as='Incidence_Rate')",
        "Case-Fatality_Ratio": "Column('case_fatality_ratio', 'float', published_as='Case-Fatality_Ratio')",
    }
    last = watched.watch.delivered("07-27-2020.csv")
    assert {event.last_delivery for event in watched.watch.open_events()} == {last.id}


def test_reports_taken_newest_first_leave_the_same_open(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = reports()
    with warehouse(postgres_url, tmp_path_factory.mktemp("landing")) as kept, connected(kept.url) as connection:
        watch = Watch(source, kept, connection)
        for partition in sorted(map(source.partition, source.extractor.list()), key=lambda each: each.rank)[::-1]:
            watch.poll(partition.key, cells=False)
        events = watch.open_events()
        assert slots(events) == [("added", "Incidence_Rate", ""), ("added", "Case-Fatality_Ratio", "")]
        assert {event.first_delivery for event in events} == {watch.delivered("05-29-2020.csv").id}


@country_codes
def test_every_renaming_is_one_that_a_person_would_call_so(watched: Watched) -> None:
    renamed = {
        change.subject: change.replacement
        for file, changes in watched.opened("renamed").items()
        for change in changes
        if not file.startswith("0026_")
    }
    assert renamed == {
        "name_fr": "official_name_fr",
        "official_name": "official_name_en",
        "currency_alphabetic_code": "ISO4217-currency_alphabetic_code",
        "currency_country_name": "ISO4217-currency_country_name",
        "currency_minor_unit": "ISO4217-currency_minor_unit",
        "currency_name": "ISO4217-currency_name",
        "currency_numeric_code": "ISO4217-currency_numeric_code",
        "ISO3166-1-numeric": "M49",
        "geonameid": "Geoname ID",
        "name": "CLDR display name",
        "Global Code": "\ufeffGlobal Code",
    }


@country_codes
@pytest.mark.parametrize("watched", [False], ids=["untouched"], indirect=True)
def test_a_mark_in_a_name_is_a_renaming_that_the_next_version_takes_back(watched: Watched) -> None:
    found = {file[:4]: drift for file, drift in watched.drift.items()}
    (marked,) = found["0025"].unforeseen
    (closed,) = found["0026"].closed
    assert (closed.id, closed.status) == (marked.id, "resolved")
    assert found["0026"].opened == ()
    assert slots(watched.watch.open_events()) == [("added", "wikidata_id", "")]


@country_codes
@pytest.mark.parametrize("watched", [True], ids=["accepted"], indirect=True)
def test_the_way_back_from_what_was_accepted_is_a_change_of_its_own(watched: Watched) -> None:
    found = {file[:4]: drift for file, drift in watched.drift.items()}
    assert slots(found["0026"].unforeseen) == [("renamed", "\ufeffGlobal Code", "Global Code")]
    assert watched.watch.open_events() == []


@currency_codes
def test_names_that_lose_their_blanks_are_renamed(watched: Watched) -> None:
    (changes,) = watched.opened("renamed").values()
    assert {change.subject: change.replacement for change in changes} == {
        "Alphabetic Code": "AlphabeticCode",
        "Numeric Code": "NumericCode",
        "Minor unit": "MinorUnit",
        "Withdrawal Date": "WithdrawalDate",
    }
