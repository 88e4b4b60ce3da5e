"""The file that rows are frozen in."""

from __future__ import annotations

import errno
import io
from typing import Any

import pyarrow as pa
import pytest

from etl_assets.errors import EnvironmentFaultError
from etl_assets.extract.database.catalogue import CatalogueColumn
from etl_assets.extract.database.freezing import ParquetFile
from etl_assets.extract.database.reading import Reading

READINGS = [Reading(CatalogueColumn("id", "integer"), '"id"', pa.int64())]


class Disk(io.BytesIO):
    """A file on a disk of so many bytes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def write(self, data: Any, /) -> int:
        if self.tell() + len(memoryview(data)) > self.size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def write(disk: Disk) -> int:
    with ParquetFile(disk, READINGS, 10**9) as file:
        file.add(pa.record_batch([pa.array(range(10_000))], names=["id"]))
        return file.finish()


@pytest.mark.parametrize("part", [0.0, 0.5, 0.999], ids=["at its start", "within the rows", "at its end"])
def test_a_full_disk_is_no_fault_of_the_database(part: float) -> None:
    size = write(Disk(10**9))
    with pytest.raises(EnvironmentFaultError, match=r"cannot be written \(ENOSPC\)\. Nothing was loaded\. Free space"):
        write(Disk(int(part * size)))
