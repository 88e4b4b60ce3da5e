"""LandingStore: bytes are kept once, whole, and under their own hash."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from etl_assets.errors import DeliveryError, DeliveryIncompleteError, DeliveryMissingError, EnvironmentFaultError
from etl_assets.extract.base import Fetched
from etl_assets.landing.store import LandingStore
from etl_assets.model.delivery import Manifest, MemberIndex, Span


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LandingStore:
    return LandingStore(
        str(tmp_path / "new" / "landing") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"
    )


def freeze(store: LandingStore, data: bytes) -> tuple[str, int]:
    return store.freeze(Fetched(io.BytesIO(data), "a.csv", "somewhere"))


def files(store: LandingStore) -> list[str]:
    system, root = fsspec.core.url_to_fs(store.url)
    return sorted(Path(path).name for path in system.find(root))


def test_frozen_bytes_are_found_under_their_hash_and_are_seekable(store: LandingStore) -> None:
    digest, size = freeze(store, b"0123456789")
    assert (digest, size) == (sha256(b"0123456789").hexdigest(), 10)
    with store.open(digest) as stream:
        stream.seek(4)
        assert stream.read() == b"456789"


def test_the_same_bytes_are_kept_once(store: LandingStore) -> None:
    assert freeze(store, b"same") == freeze(store, b"same")
    assert files(store) == [sha256(b"same").hexdigest() + ".bytes"]


def test_a_fetch_without_bytes_is_refused(store: LandingStore) -> None:
    with pytest.raises(DeliveryError, match="is empty"):
        freeze(store, b"")
    assert files(store) == []


class Breaking(io.RawIOBase):
    def __init__(self) -> None:
        super().__init__()
        self._parts = [b"a" * 10]

    def read(self, size: int = -1, /) -> bytes:
        assert size > 0
        if self._parts:
            return self._parts.pop()
        raise DeliveryIncompleteError("cut")


def test_a_fetch_that_breaks_leaves_nothing_behind(store: LandingStore) -> None:
    with pytest.raises(DeliveryIncompleteError):
        store.freeze(Fetched(cast("BinaryIO", Breaking()), "a.csv", "somewhere"))
    assert files(store) == []


def test_the_next_fetch_replaces_an_incomplete_file(tmp_path: Path) -> None:
    store = LandingStore(str(tmp_path))
    digest, _ = freeze(store, b"whole")
    (tmp_path / digest[:2] / f"{digest}.bytes").write_bytes(b"wh")
    freeze(store, b"whole")
    with store.open(digest) as stream:
        assert stream.read() == b"whole"


def test_opening_bytes_that_are_not_stored_fails(store: LandingStore) -> None:
    with pytest.raises(DeliveryMissingError, match="has no bytes"):
        store.open("0" * 64)


def test_a_manifest_is_read_as_it_was_written(store: LandingStore) -> None:
    digest, size = freeze(store, b"x")
    manifest = Manifest(
        digest,
        size,
        "é.zip",
        "there",
        {"etag": "7"},
        (MemberIndex("a.csv", 9, ("a", ""), (Span(1, "a.csv", 2, 7, 1, 3, 2),)),),
    )
    assert store.manifest(digest) is None
    store.put_manifest(manifest)
    store.put_manifest(manifest)
    assert store.manifest(digest) == manifest


def test_an_error_text_does_not_contain_secrets_of_the_url() -> None:
    with pytest.raises(DeliveryMissingError) as caught:
        LandingStore("memory://user:hunter2@x/landing").open("0" * 64)
    assert "hunter2" not in str(caught.value)


_FREEZE_WITH_LITTLE_SPACE = """
import io, resource, sys
from etl_assets.errors import EnvironmentFaultError
from etl_assets.extract.base import Fetched
from etl_assets.landing.store import LandingStore
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    LandingStore(sys.argv[1]).freeze(Fetched(io.BytesIO(bytes(5000)), "a.csv", "somewhere"))
except EnvironmentFaultError as error:
    print(error)
"""


def test_a_folder_without_space_is_an_error_that_says_so_and_keeps_no_part(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", _FREEZE_WITH_LITTLE_SPACE, str(tmp_path)]
    shown = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    assert f"The landing store {tmp_path} has no space left (EFBIG). The bytes of the delivery were not" in shown
    assert "Free space in it or enlarge it, then run it again." in shown
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class _Full(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A remote store that has room for ten bytes of a file."""

    protocol = "full"

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:  # noqa: ARG002 -- fsspec's signature
        self.pipe_file(rpath, Path(lpath).read_bytes()[:10])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_remote_store_without_space_keeps_no_part_either() -> None:
    fsspec.register_implementation("full", _Full, clobber=True)
    store = LandingStore(f"full://{uuid.uuid4().hex}")
    with pytest.raises(EnvironmentFaultError, match=r"has no space left \(ENOSPC\)"):
        freeze(store, b"more than ten bytes")
    assert files(store) == []


def test_a_store_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = LandingStore(str(tmp_path / "file" / "landing"))
    with pytest.raises(EnvironmentFaultError, match=r"file/landing cannot be written \(ENOTDIR\).*ETL_ASSETS_LANDING"):
        freeze(store, b"x")


def test_an_error_of_the_machine_that_does_not_concern_the_store_is_not_taken_for_one(store: LandingStore) -> None:
    class Failing(io.RawIOBase):
        def read(self, _: int = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        store.freeze(Fetched(cast("BinaryIO", Failing()), "a.csv", "somewhere"))
