"""What files must do on every kind of place, as a suite: a test class derives from it."""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from etl_assets import Csv, FileExtractor, Files, Partition
from etl_assets.errors import (
    DeliveryError,
    DeliveryIncompleteError,
    DeliveryMissingError,
    DeliveryUnreachableError,
)
from etl_assets_tests.file_servers import PASSWORD

if TYPE_CHECKING:
    from etl_assets.extract.access.base import Access
    from etl_assets_tests.proxy import Proxy

TEXT: Final = b"a,b\n1,2\n"
ODD: Final = ("a b.csv", "a#b?c&d=e.csv", "a[1]{2}~$!.csv", "100%41+ä.csv", "a::b.csv")


class Place(ABC):
    """A folder of a server, empty at first.

    Attributes:
        location: Of the folder, without a slash at the end.
        access: With the right login.
    """

    location: str
    access: Access

    @abstractmethod
    def write(self, name: str, data: bytes) -> None: ...

    @abstractmethod
    def make_old(self, name: str) -> None:
        """Set the time of a file back, where the place has it in whole seconds."""

    def extractor(self, name: str = "*.csv", *, access: Access | None = None, move_to: str = "") -> FileExtractor:
        extractor = FileExtractor(
            location=f"{self.location}/{name}",
            format=Csv(),
            access=access or self.access,
            move_to=move_to and f"{self.location}/{move_to}",
        )
        extractor.check("source 'x'")
        extractor.check_partitions(Files() if "*" in name else None, "source 'x'")
        return extractor

    def fetch(self, name: str) -> bytes:
        with self.extractor(name).fetch(Partition()) as fetched:
            return fetched.stream.read()


class PlaceSuite(ABC):
    """Derive from this, and provide the fixture ``place``."""

    large = 3_000_000
    """Bytes of a file that no client or server has in its buffers whole."""

    @pytest.fixture
    @abstractmethod
    def place(self) -> Place: ...

    def test_files_are_listed_polled_and_fetched_whatever_their_names_are(self, place: Place) -> None:
        for number, name in enumerate(ODD):
            place.write(name, TEXT * (number + 1))
        place.write("other.txt", TEXT)
        extractor = place.extractor()
        assert extractor.list() == sorted(ODD)
        for number, name in enumerate(ODD):
            polled = extractor.poll(Partition(name))
            with extractor.fetch(Partition(name)) as fetched:
                assert fetched.stream.read() == TEXT * (number + 1)
                assert fetched.name == name
                assert fetched.validators == polled
                assert PASSWORD not in fetched.origin + str(fetched.validators)

    def test_a_poll_distinguishes_two_versions(self, place: Place) -> None:
        place.write("a.csv", TEXT)
        first = place.extractor("a.csv").poll(Partition())
        place.write("a.csv", TEXT * 2)
        assert first is not None
        assert place.extractor("a.csv").poll(Partition()) not in (None, first)

    def test_what_is_missing_is_missing(self, place: Place) -> None:
        place.write("a.csv", TEXT)
        for name in ("b.csv", "no/folder/b.csv"):
            with pytest.raises(DeliveryMissingError, match="Nothing was written"):
                place.fetch(name)
            with pytest.raises(DeliveryMissingError, match="Nothing was written"):
                place.extractor(name).poll(Partition())
        assert place.extractor("no/folder/*.csv").list() == []

    def test_a_file_that_is_replaced_while_it_is_read_is_incomplete(self, place: Place) -> None:
        place.write("a.csv", b"x" * self.large)
        place.make_old("a.csv")
        with place.extractor("a.csv").fetch(Partition()) as fetched:
            fetched.stream.read(1000)
            place.write("a.csv", b"y" * self.large)
            with pytest.raises(DeliveryIncompleteError, match="Nothing was written"):
                fetched.stream.read()

    def test_neither_the_declaration_nor_an_object_that_stays_contains_the_secret(self, place: Place) -> None:
        place.write("a.csv", TEXT)
        assert place.fetch("a.csv") == TEXT
        assert PASSWORD not in repr(place.extractor())
        gc.collect()
        import fsspec

        kept = [thing for thing in gc.get_objects() if issubclass(type(thing), fsspec.AbstractFileSystem)]
        assert not [system for system in kept if PASSWORD in str(system.storage_options)]

    def test_a_file_larger_than_declared_is_refused(self, place: Place) -> None:
        place.write("a.csv", TEXT * 100)
        extractor = place.extractor("a.csv", access=replace(place.access, max_bytes=100))
        with (
            extractor.fetch(Partition()) as fetched,
            pytest.raises(DeliveryError, match=r"more than 100 bytes.*max_bytes"),
        ):
            fetched.stream.read()

    def test_a_fetch_ends_at_its_deadline(self, place: Place) -> None:
        place.write("a.csv", TEXT * 100)
        extractor = place.extractor("a.csv", access=replace(place.access, deadline=1e-6))
        with extractor.fetch(Partition()) as fetched, pytest.raises(DeliveryUnreachableError, match="deadline="):
            fetched.stream.read()

    def test_a_file_is_moved_once_it_is_loaded_and_can_be_fetched_from_there(self, place: Place) -> None:
        place.write("a b.csv", TEXT)
        extractor = place.extractor(move_to="done/deep/")
        partition = Partition("a b.csv")
        assert extractor.list() == ["a b.csv"]
        with extractor.fetch(partition) as fetched:
            fetched.stream.read()
        assert (
            extractor.after_load(partition, {**fetched.validators, "modified": "another", "etag": "another"}) is False
        )
        assert extractor.list() == ["a b.csv"]
        assert extractor.after_load(partition, fetched.validators) is True
        assert extractor.list() == []
        assert extractor.after_load(partition, fetched.validators) is False
        with extractor.fetch(partition) as moved:
            assert moved.stream.read() == TEXT
            assert "/done/deep/" in moved.origin

    def test_a_later_file_of_the_same_name_replaces_the_one_that_was_moved(self, place: Place) -> None:
        extractor = place.extractor(move_to="done")
        for data in (TEXT, TEXT * 2):
            place.write("a.csv", data)
            assert extractor.list() == ["a.csv"]
            with extractor.fetch(Partition("a.csv")) as fetched:
                assert fetched.stream.read() == data
            assert extractor.after_load(Partition("a.csv"), fetched.validators)
        with extractor.fetch(Partition("a.csv")) as fetched:
            assert fetched.stream.read() == TEXT * 2


def assert_a_wrong_login_is_refused(place: Place, access: Access) -> None:
    """Assert that a wrong login is reported as one, without the secret."""
    place.write("a.csv", TEXT)
    extractor = place.extractor("a.csv", access=access)
    with pytest.raises(DeliveryError, match="refuses this login") as caught, extractor.fetch(Partition()):
        pass
    assert "guessed" not in str(caught.value)
    assert not isinstance(caught.value, DeliveryUnreachableError)
    assert caught.value.__suppress_context__


def assert_a_cut_is_no_delivery(proxy: Proxy, location: str, access: Access) -> None:
    """Read a file through a proxy, cut the connection in the middle, and assert that this raises.

    Args:
        proxy: Before the server.
        location: Of the file, through the proxy.
        access: The access through the proxy.
    """
    extractor = FileExtractor(location=location, format=Csv(), access=access)
    with extractor.fetch(Partition()) as fetched:
        fetched.stream.read(1000)
        proxy.go_away(10**6)
        with pytest.raises((DeliveryIncompleteError, DeliveryUnreachableError), match="Nothing was written"):
            fetched.stream.read()
