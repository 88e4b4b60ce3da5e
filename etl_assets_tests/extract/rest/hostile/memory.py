"""``python -m etl_assets_tests.extract.rest.hostile.memory BOMB``: prints how much memory a fetch takes, in MiB.

A process of its own, since what a process has once taken is never less again.
"""

from __future__ import annotations

import resource
import sys
import zlib
from typing import TYPE_CHECKING, Final

from etl_assets import Http, Json, PageNumber, Partition, RestExtractor
from etl_assets.errors import DeliveryError
from etl_assets_tests.extract.rest.hostile.scenario import document, number, send
from etl_assets_tests.hostile_server import HostileServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets_tests.hostile_server import Answer, Request

_KIBIBYTE: Final = 1 if sys.platform == "linux" else 1024
"""In the unit of `ru_maxrss`."""
_MEGABYTE: Final = b" " * 1_000_000


def _blanks() -> bytes:
    """Return 300 MB, packed, without having them in memory."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(_MEGABYTE) for _ in range(300)) + packer.flush()


def _packed(request: Request) -> None:
    send(request, _blanks(), Content_Encoding="gzip")


def _endless(request: Request) -> None:
    request.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        request.send(b" " * 65536)


def _small_objects(request: Request) -> None:
    send(
        request, b'{"items": [' + b"{}," * 300_000 * number(request) + b"{}]}" if number(request) < 3 else document(())
    )


def _many_pages(request: Request) -> None:
    """Send 200 pages of 60 KB each."""
    page = number(request)
    send(request, document((page,), pad="x" * 60_000) if page <= 200 else document(()))


BOMBS: Final[Mapping[str, Answer]] = {
    "packed": _packed,
    "endless": _endless,
    "objects": _small_objects,
    "pages": _many_pages,
}


def taken(bomb: str) -> int:
    """Return the MiB that a fetch takes beyond what the process has before."""
    with HostileServer(BOMBS[bomb]) as server:
        access = Http(private=True, wait=0.01, deadline=60)
        extractor = RestExtractor(Json("$.items"), server.url("/items"), pagination=PageNumber(), access=access)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            with extractor.fetch(Partition()):
                pass
        except DeliveryError as error:
            sys.stderr.write(f"{error}\n")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) // _KIBIBYTE // 1024


if __name__ == "__main__":
    sys.stdout.write(f"{taken(sys.argv[1])}\n")
