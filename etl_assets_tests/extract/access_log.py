"""A line format of one's own, as the tests use it: the log of a web server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets import LineFormat, RuleInfo
from etl_assets.errors import MalformedRecordError

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINE = re.compile(r"(\S+) \[([^]]*)\] (\S*)")


@dataclass(frozen=True)
class AccessLog(LineFormat):
    """Host, moment and status: ``10.0.0.1 [2024-01-01] 200``. Lines with ``#`` are comments."""

    @property
    def names(self) -> tuple[str, ...]:
        return ("host", "moment", "status")

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        return (*super().rules, RuleInfo("record__pattern", "the record is written like host [moment] status"))

    def is_record(self, line: bytes) -> bool:
        return not line.startswith(b"#")

    def parse(self, line: str) -> Sequence[str | None]:
        found = _LINE.fullmatch(line)
        if found is None:
            raise MalformedRecordError("record__pattern")
        return found.groups()
