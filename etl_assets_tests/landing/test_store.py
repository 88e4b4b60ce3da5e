"""LandingStore: bytes are kept once, whole, and under their own hash."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import uuid
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from etl_assets.errors import (
    DeliveryDamagedError,
    DeliveryError,
    DeliveryIncompleteError,
    DeliveryMissingError,
    EnvironmentFaultError,
    SettingsError,
)
from etl_assets.extract.base import Fetched
from etl_assets.landing.digests import BLOCK_BYTES
from etl_assets.landing.store import LandingStore
from etl_assets.model.delivery import Manifest, MemberIndex, Span


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LandingStore:
    if request.param == "s3":
        return cast("LandingStore", request.getfixturevalue("store_on_s3"))
    return LandingStore(
        str(tmp_path / "new" / "landing") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"
    )


@pytest.fixture
def s3_login(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tools of AWS find the test server by the environment, as an operator does."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "landing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def freeze(store: LandingStore, data: bytes) -> Manifest:
    digests = store.freeze(Fetched(io.BytesIO(data), "a.csv", "somewhere"))
    return Manifest(digests.sha256, digests.size, "a.csv", "somewhere", blocks=digests.blocks)


def overwrite(store: LandingStore, manifest: Manifest, data: bytes) -> None:
    system, root = fsspec.core.url_to_fs(store.url)
    system.pipe_file(f"{root}/{manifest.sha256[:2]}/{manifest.sha256}.bytes", data)


def files(store: LandingStore) -> list[str]:
    system, root = fsspec.core.url_to_fs(store.url)
    system.invalidate_cache()
    return sorted(Path(path).name for path in system.find(root))


def test_frozen_bytes_are_found_under_their_hash_and_are_seekable(store: LandingStore) -> None:
    manifest = freeze(store, b"0123456789")
    assert (manifest.sha256, manifest.size) == (sha256(b"0123456789").hexdigest(), 10)
    with store.open(manifest) as stream:
        stream.seek(4)
        assert stream.read() == b"456789"


def test_the_same_bytes_are_kept_once(store: LandingStore) -> None:
    assert freeze(store, b"same") == freeze(store, b"same")
    assert files(store) == [sha256(b"same").hexdigest() + ".bytes"]


def test_other_accounts_can_read_nothing_in_a_folder(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        freeze(LandingStore(str(tmp_path / "landing")), b"secret")
    finally:
        os.umask(former)
    created = [tmp_path / "landing", *(tmp_path / "landing").rglob("*")]
    assert len(created) == 3
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in created)


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


@pytest.mark.parametrize("wrong", [b"wh", b"w40le"])
def test_the_next_fetch_replaces_a_file_with_other_bytes(store: LandingStore, wrong: bytes) -> None:
    manifest = freeze(store, b"whole")
    overwrite(store, manifest, wrong)
    freeze(store, b"whole")
    with store.open(manifest) as stream:
        assert stream.read() == b"whole"


def test_a_flipped_bit_is_not_read(store: LandingStore) -> None:
    manifest = freeze(store, b"k,v\n1,5\n")
    overwrite(store, manifest, b"k,v\n1,4\n")
    with store.open(manifest) as stream, pytest.raises(DeliveryDamagedError, match=r"bytes 0 to 8 differ.*--force"):
        stream.read(2)


def test_the_blocks_before_a_flipped_bit_are_read(store: LandingStore) -> None:
    data = bytes(BLOCK_BYTES) + b"end"
    manifest = freeze(store, data)
    assert len(manifest.blocks) == 2
    overwrite(store, manifest, data[:-1] + b"D")
    with store.open(manifest) as stream:
        assert stream.read(BLOCK_BYTES) == data[:BLOCK_BYTES]
        with pytest.raises(DeliveryDamagedError, match=f"bytes {BLOCK_BYTES} to {BLOCK_BYTES + 3} differ"):
            stream.read(1)


def test_bytes_of_another_size_are_not_opened(store: LandingStore) -> None:
    manifest = freeze(store, b"whole")
    overwrite(store, manifest, b"who")
    with pytest.raises(DeliveryDamagedError, match="3 bytes instead of 5"):
        store.open(manifest)


def test_the_bytes_of_a_manifest_without_blocks_are_verified_as_a_whole(store: LandingStore) -> None:
    manifest = replace(freeze(store, b"whole"), blocks=())
    with store.open(manifest) as stream:
        assert stream.read() == b"whole"
    overwrite(store, manifest, b"w40le")
    with pytest.raises(DeliveryDamagedError, match="its SHA-256 is another"):
        store.open(manifest)


def test_frozen_bytes_are_verified_to_their_end(store: LandingStore) -> None:
    manifest = freeze(store, b"a" * BLOCK_BYTES + b"end")
    store.verify(manifest)
    overwrite(store, manifest, b"a" * BLOCK_BYTES + b"enD")
    with pytest.raises(DeliveryDamagedError, match="differ"):
        store.verify(manifest)


def test_bytes_that_agree_with_their_blocks_alone_are_not_verified(store: LandingStore) -> None:
    manifest, other = freeze(store, b"whole"), freeze(store, b"other")
    overwrite(store, manifest, b"other")
    with pytest.raises(DeliveryDamagedError, match="its SHA-256 is another"):
        store.verify(replace(manifest, blocks=other.blocks))


def test_opening_bytes_that_are_not_stored_fails(store: LandingStore) -> None:
    with pytest.raises(DeliveryMissingError, match="has no bytes"):
        store.open(Manifest("0" * 64, 1, "a.csv", "somewhere"))


def test_a_manifest_is_read_as_it_was_written(store: LandingStore) -> None:
    members = (MemberIndex("a.csv", 9, ("a", ""), (Span(1, "a.csv", 2, 7, 1, 3, 2),)),)
    manifest = replace(freeze(store, b"x"), name="é.zip", validators={"etag": "7"}, members=members)
    assert store.manifest(manifest.sha256) is None
    store.put_manifest(manifest)
    store.put_manifest(manifest)
    assert store.manifest(manifest.sha256) == manifest


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"sha256": "x"}', b"\xff"])
def test_a_damaged_manifest_is_not_read(store: LandingStore, text: bytes) -> None:
    manifest = freeze(store, b"x")
    store.put_manifest(manifest)
    system, root = fsspec.core.url_to_fs(store.url)
    system.pipe_file(f"{root}/{manifest.sha256[:2]}/{manifest.sha256}.json", text)
    with pytest.raises(DeliveryDamagedError, match="differs from what was fetched"):
        store.manifest(manifest.sha256)


def test_an_error_text_does_not_contain_secrets_of_the_url() -> None:
    with pytest.raises(DeliveryMissingError) as caught:
        LandingStore("memory://user:hunter2@x/landing").open(Manifest("0" * 64, 1, "a.csv", "somewhere"))
    assert "hunter2" not in str(caught.value)


def test_a_url_that_fsspec_does_not_know_is_an_error_without_its_secrets() -> None:
    with pytest.raises(SettingsError, match="is not a URL that fsspec knows") as caught:
        LandingStore("nonesuch://user:hunter2@x/landing")
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


@pytest.fixture
def store_on_s3(s3_login: None) -> LandingStore:  # noqa: ARG001 -- sets the environment
    bucket = f"s3://b{uuid.uuid4().hex}"
    fsspec.core.url_to_fs(bucket)[0].mkdir(bucket)
    return LandingStore(f"{bucket}/landing")


def test_of_a_remote_file_only_the_blocks_are_fetched_that_are_read(
    store_on_s3: LandingStore, caplog: pytest.LogCaptureFixture
) -> None:
    data = b"".join(bytes([number]) * BLOCK_BYTES for number in range(4)) + b"end"
    manifest = freeze(store_on_s3, data)
    with caplog.at_level("DEBUG", "s3fs"), store_on_s3.open(manifest) as stream:
        stream.seek(2 * BLOCK_BYTES + 5)
        assert stream.read(10) == bytes([2]) * 10
    ranges = [record.getMessage() for record in caplog.records if "Fetch: " in record.getMessage()]
    assert len(ranges) == 1
    assert f"{2 * BLOCK_BYTES}-{3 * BLOCK_BYTES}" in ranges[0]


class _Forgetful(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A remote store that keeps other bytes than it is given."""

    protocol = "forgetful"

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:  # noqa: ARG002 -- fsspec's signature
        self.pipe_file(rpath, Path(lpath).read_bytes()[:-1] + b"?")


def test_bytes_that_a_remote_store_does_not_return_as_they_were_are_not_kept() -> None:
    fsspec.register_implementation("forgetful", _Forgetful, clobber=True)
    store = LandingStore(f"forgetful://{uuid.uuid4().hex}")
    with pytest.raises(EnvironmentFaultError, match="returns other bytes than were written"):
        freeze(store, b"whole")
    assert files(store) == []


def test_a_bucket_that_does_not_exist_is_an_error_that_names_the_store_and_makes_none(
    s3_login: None,  # noqa: ARG001 -- sets the environment
) -> None:
    store = LandingStore("s3://no-such-bucket-here/landing")
    with pytest.raises(EnvironmentFaultError, match=r"s3://no-such-bucket-here/landing cannot be written.*login"):
        freeze(store, b"x")
    assert not fsspec.core.url_to_fs("s3://x")[0].exists("no-such-bucket-here")


def test_a_remote_store_that_is_away_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
    s3_login: None,  # noqa: ARG001 -- sets the environment
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # fsspec keeps one for each process
    store = LandingStore("s3://bucket/landing")
    with pytest.raises(EnvironmentFaultError, match=r"s3://bucket/landing cannot be read .*ETL_ASSETS_LANDING_URL"):
        freeze(store, b"x")
