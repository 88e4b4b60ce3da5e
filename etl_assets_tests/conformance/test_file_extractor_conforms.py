from __future__ import annotations

import bz2
import gzip
import io
import lzma
import threading
import uuid
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import fsspec
import pyarrow as pa
import pytest

from etl_assets.extract.access.http import Http
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.landing.store import LandingStore
from etl_assets.model.partitions import Partition
from etl_assets.testing.extractor_suite import ExtractorSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TEXT = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(100))


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return packed.getvalue()


_PACKED = {
    "plain.csv": _TEXT,
    "data.zip": zipped(a_csv=_TEXT, readme_txt=b"?", b_csv=_TEXT),
    "data.gz": gzip.compress(_TEXT),
    "data.bz2": bz2.compress(_TEXT),
    "data.xz": lzma.compress(_TEXT),
    "data.zst": pa.compress(_TEXT, codec="zstd", asbytes=True),
}


class _EveryPacking(ExtractorSuite):
    @pytest.fixture(params=sorted(_PACKED))
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def there(self, name: str) -> Partition:
        return Partition(name)

    @pytest.fixture
    def missing(self) -> Partition:
        return Partition("nothing.csv")


class TestLocalFileExtractorConforms(_EveryPacking):
    @pytest.fixture
    def extractor(self, tmp_path: Path, name: str) -> FileExtractor:
        (tmp_path / name).write_bytes(_PACKED[name])
        location = str(tmp_path / "{key}")
        return FileExtractor(location=location, format=Csv(batch_bytes=128), member="*.csv", settle_seconds=0)


class TestFsspecFileExtractorConforms(_EveryPacking):
    @pytest.fixture
    def extractor(self, name: str) -> FileExtractor:
        folder = f"memory://{uuid.uuid4().hex}"
        with fsspec.open(f"{folder}/{name}", "wb") as file:
            file.write(_PACKED[name])
        return FileExtractor(location=folder + "/{key}", format=Csv(batch_bytes=128), member="*.csv")


class TestFileExtractorConformsWithARemoteLandingStore(TestLocalFileExtractorConforms):
    @pytest.fixture
    def store(self) -> LandingStore:
        return LandingStore(f"memory://{uuid.uuid4().hex}")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = _PACKED.get(self.path.strip("/"))
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
        """Log nothing."""


class TestWebFileExtractorConforms(_EveryPacking):
    @pytest.fixture
    def extractor(self) -> Iterator[FileExtractor]:
        with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            location = f"http://127.0.0.1:{server.server_port}/" + "{key}"
            access = Http(private=True)
            yield FileExtractor(location=location, format=Csv(batch_bytes=128), member="*.csv", access=access)
            server.shutdown()
