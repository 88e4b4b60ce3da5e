"""Places of the US census of 2000, as the loader pgloader tests with them: columns by position, in Latin-1, packed."""

from __future__ import annotations

import io
import zipfile

from etl_assets import Field, FileExtractor, FixedWidth, Partition
from etl_assets.landing import LandingStore, batches, land
from etl_assets_tests.real_feeds.taking import FEEDS, with_real_feeds

pytestmark = with_real_feeds
_FILE = FEEDS / "torture/pgloader/clojure/tests/fixtures/http/places2k.zip"
_FORMAT = FixedWidth(
    (
        Field("state", 1, 2),
        Field("state_fips", 3, 4),
        Field("place_fips", 5, 9),
        Field("name", 10, 73),
        Field("population", 74, 82),
        Field("housing_units", 83, 91),
        Field("land_area", 92, 105),
        Field("water_area", 106, 119),
        Field("land_miles", 120, 131),
        Field("water_miles", 132, 143),
        Field("latitude", 144, 153),
        Field("longitude", 154, 164),
    ),
    encoding="latin-1",
    batch_bytes=1_000_000,
)


def test_every_place_is_read_with_its_accents(tmp_path: object) -> None:
    store, extractor = LandingStore(str(tmp_path)), FileExtractor(_FORMAT, str(_FILE), settle_seconds=0)
    read = list(batches(extractor, store, land(extractor, Partition("", ""), store)))
    rows = [row[:-1] for batch in read for row in batch.frame.rows()]
    assert sum(batch.malformed.height for batch in read) == 0
    assert len(read) > 4

    with zipfile.ZipFile(_FILE) as archive:
        lines = archive.read("places2k.txt").decode("latin-1").removesuffix("\r\n").split("\r\n")
    assert len(rows) == 25_375
    assert rows == [
        tuple(line[part.start - 1 : part.last].strip(" ") or None for part in _FORMAT.fields) for line in lines
    ]
    assert rows[0][:4] == ("AL", "01", "00124", "Abbeville city")
    assert sum(not row[3].isascii() for row in rows) == 52


def test_in_utf_8_the_places_with_accents_are_malformed_and_no_other_place_moves() -> None:
    with zipfile.ZipFile(_FILE) as archive:
        data = archive.read("places2k.txt")
    format_ = FixedWidth(_FORMAT.fields)
    (batch,) = format_.read(io.BytesIO(data), "")
    wrong = [not line.isascii() for line in data.split(b"\r\n") if line]
    assert batch.malformed["record_no"].to_list() == [number for number, bad in enumerate(wrong, start=1) if bad]
    assert {*batch.malformed["rules"].explode()} == {"record__encoding"}
    assert batch.frame["longitude"].str.contains(r"^-?\d+\.\d{6}$").all()
