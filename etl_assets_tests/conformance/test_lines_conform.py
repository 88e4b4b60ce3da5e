"""A line format of one's own conforms to the contract of formats."""

from __future__ import annotations

from etl_assets.testing import FormatSuite
from etl_assets_tests.extract.access_log import AccessLog

_LINES = [
    "#Version: 1",
    *(f"10.0.0.{n} [2024-01-{n % 28 + 1}] 200" for n in range(20)),
    "",
    "# from here on, some are wrong",
    "10.0.0.20 2024-01-21 200",
    "10.0.0.21 [é\0] 200",
    *(f"10.0.1.{n} [été {n}] -" for n in range(22, 40)),
    "# the last one has no line end",
    "10.0.0.40 [2024-02-10] ",
]


class TestAccessLog(FormatSuite):
    format = AccessLog(batch_bytes=200, null=("-",))
    sample = "\n".join(_LINES).encode() + b"\n10.0.0.41 [\xff] 200"
    records = 42
    empty = b"#Version: 1\n"


class TestAccessLogWithMarkAndCarriageReturns(FormatSuite):
    format = AccessLog(batch_bytes=150, skip_lines=1)
    sample = b"\xef\xbb\xbf" + "\r\n".join(_LINES).encode() + b"\r\n\r\n#end"
    records = 41
    empty = b"\xef\xbb\xbfthe only line\r\n"


class TestTranscodedAccessLog(FormatSuite):
    format = AccessLog(batch_bytes=200, encoding="utf-16")
    sample = "\n".join(_LINES).encode("utf-16")
    records = 41
    empty = "#\n".encode("utf-16")


class TestAccessLogInLatin1(FormatSuite):
    format = AccessLog(batch_bytes=200, encoding="latin-1")
    sample = "\n".join(_LINES).encode("latin-1")
    records = 41
