"""Goes through the statements of a dump and stops where records of the declared table begin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.sql_dump.layout import Layout
from etl_assets.extract.formats.sql_dump.names import columns_of_list, columns_of_table
from etl_assets.extract.formats.sql_dump.skipping import (
    HEAD,
    skip_blank,
    skip_copy,
    skip_routine,
    skip_statement,
    text_of,
)
from etl_assets.extract.formats.sql_dump.statements import COMPLETED, RESHAPES, statements
from etl_assets.extract.formats.sql_dump.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.formats.sql_dump.options import SqlDumpOptions
    from etl_assets.extract.formats.sql_dump.window import Window

_DELIMITER: Final = re.compile(rb"DELIMITER[ \t]++(\S++)[^\n]*+\n", re.IGNORECASE)
_COMMAND: Final = re.compile(rb"\\(?:(?:c|connect)\s++(?:-reuse-previous=\w++\s++)?+([^\s;]++))?+[^\n]*+\n")
_EXECUTED: Final = re.compile(rb"/\*M?![0-9]*+\s*+(?:INSERT|REPLACE|UPDATE|DELETE|TRUNCATE)\b[^*]*+", re.IGNORECASE)
_ANY_COPY: Final = re.compile(rb"COPY\s++(?P<name>[^\s(]++)", re.IGNORECASE)
_OTHER_STRINGS: Final = {
    "postgres": re.compile(rb"standard_conforming_strings['\s]*+(?:=|TO|,)\s*+'?(?:off|false|0)\b", re.IGNORECASE),
    "mysql": re.compile(rb"NO_BACKSLASH_ESCAPES", re.IGNORECASE),
}
_TARGET_ENDS: Final = re.compile(
    rb";|\b(?:SET|WHERE|VALUES|USING|ADD|ALTER|CHANGE|DISABLE|DROP|ENABLE|MODIFY|OWNER|RENAME)\b", re.IGNORECASE
)
_FROM_QUERY: Final = re.compile(rb"\bAS\s*+\(?+\s*+(?:SELECT|WITH|TABLE|VALUES|EXECUTE)\b", re.IGNORECASE)
_ALWAYS_REFUSED: Final = (b"LOAD", b"MERGE", b"WITH", b"RENAME")


class Scanner:
    """The statements of one dump.

    Args:
        options: Which table to read, and how the dump is written.
        window: At the start of the dump.
        where: Name of the dump in errors.

    Attributes:
        rows: Whether the declared table has had a record.
    """

    def __init__(self, options: SqlDumpOptions, window: Window, where: str) -> None:
        self._options = options
        self._window = window
        self._where = where
        self._dialect = options.dialect
        self._codec = "utf-8" if options.transcoded else options.codec
        self._tables = Tables(options, where)
        self._patterns = statements(options.dialect)
        self._delimiter = b";"
        self._in_transaction = False
        self._last: Layout | None = None
        self.rows = False

    def runs(self) -> Iterator[Layout]:
        """Yield how the next records are written, with the window at the first; the caller moves it behind them.

        Raises:
            DeliveryIncompleteError: If the dump is cut short.
            DeliveryError: If the dump does more to the declared table than to insert records.
        """
        window, completion = self._window, b""
        blank = skip_blank(window, self._dialect)
        completion = next((end for begin, end in COMPLETED.items() if begin in blank), b"")
        completed = not completion
        while window.at < len(window.data):
            self._check_comments(blank)
            if layout := self._statement():
                self._last = layout
                yield layout
            blank = skip_blank(window, self._dialect)
            completed = completed or completion in blank
        self._check_comments(blank)
        self._check_end(completed=completed)

    def columns_without_records(self) -> tuple[str, ...]:
        """Return the columns of a table that has no record.

        Raises:
            DeliveryError: If the dump does not have the table, or does not list its columns.
        """
        if not self._tables.found:
            raise self._tables.missing()
        return self._last.columns if self._last else self._unlisted_columns()

    def _statement(self) -> Layout | None:
        """Move behind one statement; or stop where its records begin, and return how they are written."""
        window, patterns = self._window, self._patterns
        if self._is_command():
            return None
        if self._delimiter != b";":
            if (match := window.match(patterns.insert)) and self._tables.is_wanted(match["name"]):
                raise self._refused("inserts while DELIMITER is no semicolon", "Make the dump with mysqldump", match)
            skip_routine(window, self._dialect, self._delimiter)
        elif match := window.match(patterns.copy):
            return self._copy(match)
        elif match := window.match(patterns.insert):
            if self._tables.is_wanted(match["name"]):
                return self._insert(match)
            skip_statement(window, self._dialect)
        elif window.match(patterns.routine):
            skip_routine(window, self._dialect, self._delimiter)
        else:
            self._other()
            skip_statement(window, self._dialect)
        return None

    def _is_command(self) -> bool:
        """Move behind a command to psql or mysql, which no semicolon ends; return whether there was one."""
        if self._dialect == "postgres" and (match := self._window.match(_COMMAND)):
            if match[1] not in (None, b"-"):
                self._tables.database = match[1].decode("latin-1")
                self._tables.schema = ""
        elif self._dialect == "mysql" and (match := self._window.match(_DELIMITER)):
            self._delimiter = match[1]
        else:
            return False
        self._window.at = match.end()
        return True

    def _copy(self, match: re.Match[bytes]) -> Layout | None:
        self._window.at = match.end()
        if not self._tables.is_wanted(match["name"]):
            skip_copy(self._window)
            return None
        if match["options"].strip():
            raise self._refused("has a COPY with options", "Make the dump with pg_dump, whose COPY has none", match)
        return Layout("copy", self._dialect, self._columns(match), "", match["end"] == b"\r\n")

    def _insert(self, match: re.Match[bytes]) -> Layout:
        rows = self._patterns.rows.match(self._window.data, match.end())
        if rows is None or b"\0" in rows[0]:
            raise self._refused(
                "has an INSERT without a list of values after VALUES",
                "Make a dump of the table's rows; what INSERT … SELECT inserts is not in the dump",
                match,
            )
        header = self._window.data[match.start() : rows.end()].decode("latin-1")
        self._window.at = rows.end()
        return Layout("insert", self._dialect, self._columns(rows), header)

    def _columns(self, match: re.Match[bytes]) -> tuple[str, ...]:
        if match["columns"] is None:
            return self._unlisted_columns()
        try:
            return columns_of_list(match["columns"], self._dialect, self._codec)
        except UnicodeDecodeError:
            encoding = self._options.encoding
            raise self._refused(f"names columns that are not in {encoding}", "Declare its encoding", match) from None

    def _unlisted_columns(self) -> tuple[str, ...]:
        columns = self._options.header or self._tables.columns
        if not columns:
            raise DeliveryError(
                f"{self._where} does not name the columns of {self._options.table}: neither its INSERT nor a CREATE "
                "TABLE lists them. Nothing was written. Name them in their order: header=(...)."
            )
        return columns

    def _other(self) -> None:
        """Take what another statement says of the declared table."""
        window, patterns = self._window, self._patterns
        head = window.data[window.at : window.at + HEAD]
        if (strings := _OTHER_STRINGS.get(self._dialect)) and head[:3].upper() == b"SET":
            self._check_strings(strings, text_of(window, self._dialect))
        if match := window.match(patterns.create):
            self._create(match)
        elif (match := window.match(patterns.schema)) and self._dialect != "sqlite":
            self._tables.use(match["name"])
        elif match := window.match(patterns.changes):
            self._change(match)
        elif match := window.match(patterns.transaction):
            verb = match["verb"].upper()
            if verb == b"ROLLBACK" and self.rows:
                raise self._refused("takes its records back: ROLLBACK", "Check how the dump was made", match)
            self._in_transaction = verb in (b"BEGIN", b"START")
        elif (match := window.match(_ANY_COPY)) and self._tables.are_in(match["name"]):
            raise self._refused("has a COPY from another file", "Make a dump with COPY … FROM stdin", match)

    def _create(self, match: re.Match[bytes]) -> None:
        if not self._tables.is_wanted(match["name"]):
            return
        text = text_of(self._window, self._dialect)[match.end() - match.start() :]
        if _FROM_QUERY.search(text):
            raise self._refused("makes the table from a query", "Make a dump of the table's rows", match)
        try:
            self._tables.columns = columns_of_table(text, self._dialect, self._codec)
        except UnicodeDecodeError:
            encoding = self._options.encoding
            raise self._refused(f"names columns that are not in {encoding}", "Declare its encoding", match) from None

    def _change(self, match: re.Match[bytes]) -> None:
        """Refuse a statement after which the records that were inserted are not the rows of the table."""
        verb = b" ".join(match["verb"].upper().split())
        text = match.string[match.end() : match.end() + HEAD]
        if verb == b"ALTER TABLE":
            text = text_of(self._window, self._dialect)[len(match[0]) :]
        if not self._tables.are_in(_TARGET_ENDS.split(text, maxsplit=1)[0]):
            return
        reshapes = verb == b"ALTER TABLE" and RESHAPES.search(text) and self._tables.found
        changes = self.rows and verb != b"ALTER TABLE"
        if reshapes or changes or verb in _ALWAYS_REFUSED:
            raise self._refused(
                f"changes {self._options.table} by other statements than INSERT: {verb.decode()}",
                "Make a dump of the table as it is now; statements are not executed",
                match,
            )

    def _check_comments(self, blank: bytes) -> None:
        if self._dialect != "mysql" or b"/*" not in blank:
            return
        self._check_strings(_OTHER_STRINGS["mysql"], blank)
        for match in _EXECUTED.finditer(blank):
            if self._tables.are_in(match[0]):
                raise self._refused("changes rows in a comment that MySQL executes", "Make the dump with mysqldump")

    def _check_strings(self, other: re.Pattern[bytes], text: bytes) -> None:
        if other.search(text):
            remedy = "Make the dump with the usual setting of its server"
            raise self._refused("changes what a backslash in a string means", remedy)

    def _check_end(self, *, completed: bool) -> None:
        if not completed or self._in_transaction:
            lacks = "COMMIT" if self._in_transaction else "comment of the program that the dump is complete"
            raise DeliveryIncompleteError(
                f"{self._where} ends without the {lacks}: it is cut short. Nothing was written. Fetch it again once "
                "the publisher has finished it."
            )

    def _refused(self, problem: str, remedy: str, match: re.Match[bytes] | None = None) -> DeliveryError:
        line = self._window.line(match.start() if match and match.string is self._window.data else self._window.at)
        return DeliveryError(f"{self._where}:{line} {problem}. Nothing was written. {remedy}.")
