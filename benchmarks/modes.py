"""Write modes against what one would write by hand for psql: ``python -m benchmarks.modes``.

The same rows are written by this package, from the file to the last commit, and by a script that validates nothing.
Ends with 1 if both tables ever held different rows.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import reference
from benchmarks.feed import files
from benchmarks.measure import measure
from benchmarks.server import Databases, digest, psql, psql_environment, vacuum
from etl_assets.local import EmbeddedServer

if TYPE_CHECKING:
    from benchmarks.feed import Variant
    from benchmarks.measure import Process

_COLUMNS: Final = "id, code, name, category, quantity, weight, price, active, listed_on, counted_at, changed_at, note"
_CHANGED: Final = " or ".join(f"h.{name} is distinct from s.{name}" for name in _COLUMNS.split(", ")[1:])
_STAGE: Final = (
    "create temporary table stage (like public.bench_feed) on commit drop;\n"
    "\\copy stage from '{file}' with (format csv, header)\n"
)
_HISTORY: Final = (
    "create table public.history (like public.bench_feed, valid_from timestamptz not null, valid_to timestamptz, "
    "primary key (id, valid_from)); create unique index on public.history (id) where valid_to is null; "
    "create view public.current_rows as select * from public.history where valid_to is null; "
    f"insert into public.history select {_COLUMNS}, now() from public.bench_feed"
)
_MERGE: Final = (
    f"begin;\n{_STAGE}update public.history h set valid_to = now() from stage s "
    f"where h.id = s.id and h.valid_to is null and ({_CHANGED});\n"
    f"insert into public.history select {_COLUMNS}, now() from stage s "
    "where not exists (select from public.history h where h.id = s.id and h.valid_to is null);\ncommit;\n"
)
_ORDERED: Final = _HISTORY.replace("now()", "changed_at")
_PLACE: Final = (
    f"begin;\n{_STAGE}insert into public.history select {_COLUMNS}, changed_at, '-infinity' from stage s "
    "on conflict do nothing;\n"
    "create temporary table placed on commit drop as select * from (select id, valid_from, valid_to, "
    "lead(valid_from) over (partition by id order by valid_from) as ends from public.history "
    "where id in (select id from stage)) p where valid_to is distinct from ends;\n"
    "update public.history h set valid_to = p.ends from placed p where h.id = p.id and h.valid_from = p.valid_from "
    "and p.ends is not null;\n"
    "update public.history h set valid_to = null from placed p where h.id = p.id and h.valid_from = p.valid_from "
    "and p.ends is null;\ncommit;\n"
)


@dataclass(frozen=True)
class Case:
    """A mode, and the script that does the same.

    Attributes:
        mode: As `benchmarks.ingest_run` names it.
        variant: What is delivered.
        before: SQL that makes the tables of the reference; it has loaded ``first`` if the case begins with a table.
        script: SQL of the reference; ``{file}`` is the file of clean rows, or of binary rows.
        rows: Our table, and that of the reference, with the rows that must be equal.
        loaded: Whether the first variant is loaded before.
        limit: The ratio that is aimed at.
        binary: Whether the reference reads rows in the server's binary form, so that it parses nothing.
    """

    mode: str
    variant: Variant
    before: str
    script: str
    rows: tuple[str, str]
    loaded: bool
    limit: float
    binary: bool = False


CASES: Final = {
    "append, first load against binary COPY": Case(
        "append",
        "first",
        "create table public.events (like public.bench_feed)",
        "begin;\n\\copy public.events from '{file}' with (format binary)\ncommit;\n",
        ("core.bench_feed", "public.events"),
        loaded=False,
        limit=1.3,
        binary=True,
    ),
    "snapshot, every row changed, against TRUNCATE, COPY and index": Case(
        "snapshot",
        "changed",
        "",
        "begin;\ntruncate public.bench_feed;\nalter table public.bench_feed drop constraint bench_feed_pkey;\n"
        "\\copy public.bench_feed from '{file}' with (format csv, header)\n"
        "alter table public.bench_feed add primary key (id);\ncommit;\n",
        ("core.bench_feed", "public.bench_feed"),
        loaded=True,
        limit=1.1,
    ),
    "history, every row changed, against a merge by hand": Case(
        "history",
        "changed",
        _HISTORY,
        _MERGE,
        ("core.bench_feed", "public.current_rows"),
        loaded=True,
        limit=0.8,
    ),
    "history, unchanged, against a merge by hand": Case(
        "history",
        "reordered",
        _HISTORY,
        _MERGE,
        ("core.bench_feed", "public.current_rows"),
        loaded=True,
        limit=0.8,
    ),
    "ordered history, every row changed, against a merge by hand": Case(
        "ordered history",
        "changed",
        _ORDERED,
        _PLACE,
        ("core.bench_feed", "public.current_rows"),
        loaded=True,
        limit=0.8,
    ),
    "ordered history, unchanged, against a merge by hand": Case(
        "ordered history",
        "reordered",
        _ORDERED,
        _PLACE,
        ("core.bench_feed", "public.current_rows"),
        loaded=True,
        limit=0.8,
    ),
}


@dataclass(frozen=True)
class Measured:
    """One pair of loads: seconds of our ingest and of psql, our peak memory, and whether the rows are equal."""

    ours: float
    psql: float
    peak_bytes: int
    same: bool


class ModeBench:
    """The measurements of one case.

    Args:
        databases: Where they are made.
        case: What is measured.
        records: Number of records of the feed.
        work: Folder for files and landing stores.
    """

    def __init__(self, databases: Databases, case: Case, records: int, work: Path) -> None:
        self._databases = databases
        self._case = case
        self._records = records
        self._work = work
        self._feeds = work / "feeds"

    def measure(self) -> Measured:
        """Bring both sides to where they begin, then load on each."""
        case, landing = self._case, self._work / "landing"
        shutil.rmtree(landing, ignore_errors=True)
        landing.mkdir(parents=True)
        ours, theirs = self._databases.create("bench_mode"), self._databases.create("bench_mode_psql")
        self._ingest("prepare", ours, "first", landing)
        with psycopg.connect(theirs) as connection:
            connection.execute(reference.DDL)
        if case.loaded:
            self._ingest("run", ours, "first", landing)
            reference.load(theirs, files(self._feeds, "first", self._records).clean, self._work)
        if case.before:
            with psycopg.connect(theirs) as connection:
                connection.execute(case.before.encode())
        for url in (ours, theirs):
            vacuum(url)
        self._databases.checkpoint()
        process = self._ingest("run", ours, case.variant, landing)
        self._databases.checkpoint()
        by_hand = self._psql(theirs)
        same = digest(ours, case.rows[0]) == digest(theirs, case.rows[1])
        for name in ("bench_mode", "bench_mode_psql"):
            self._databases.drop(name)
        seconds = float(json.loads(process.output.splitlines()[-1])["seconds"])
        return Measured(seconds, by_hand.seconds, process.peak_bytes, same)

    def _ingest(self, task: str, url: str, variant: Variant, landing: Path) -> Process:
        feed = files(self._feeds, variant, self._records).feed
        command = [sys.executable, "-m", "benchmarks.ingest_run", task, f"--location={feed}", f"--landing={landing}"]
        environment = {"ETL_ASSETS_DATABASE_URL": url}
        return measure([*command, f"--mode={self._case.mode}"], environment=environment, work=self._work)

    def _psql(self, url: str) -> Process:
        file = files(self._feeds, self._case.variant, self._records).clean
        if self._case.binary:
            file = self._binary(url, file)
        script = self._work / "mode.sql"
        script.write_text(self._case.script.replace("{file}", str(file).replace("'", "''")))
        return self._run(url, script)

    def _binary(self, url: str, clean: Path) -> Path:
        """Return a file of the same rows in the binary form of the server."""
        script, made = self._work / "binary.sql", self._work / "rows.bin"
        stage = _STAGE.replace("{file}", str(clean))
        script.write_text(f"begin;\n{stage}\\copy stage to '{made}' with (format binary)\ncommit;\n")
        self._run(url, script)
        return made

    def _run(self, url: str, script: Path) -> Process:
        command = [str(psql()), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={script}"]
        return measure(command, environment=psql_environment(url), work=self._work)


@click.command()
@click.option("--records", type=int, default=1_000_000, show_default=True, help="Size of the feed.")
@click.option("--pairs", type=click.IntRange(min=1), default=3, show_default=True, help="How often each is measured.")
@click.option("--work", type=click.Path(path_type=Path), default=Path(".etl_assets/benchmarks"), show_default=True)
def main(records: int, pairs: int, work: Path) -> None:
    """Measure write modes against scripts written by hand."""
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    measure([sys.executable, "-m", "benchmarks.generate", str(work / "feeds"), str(records)], environment={}, work=work)
    table, same = Table("case", "seconds", "psql", "ratio", "aim", "peak MB"), True
    with EmbeddedServer.start(work) as server:
        databases = Databases(server.superuser_url())
        for title, case in CASES.items():
            found = [ModeBench(databases, case, records, work).measure() for _ in range(pairs)]
            same &= all(pair.same for pair in found)
            table.add_row(
                title,
                f"{statistics.median(pair.ours for pair in found):.2f}",
                f"{statistics.median(pair.psql for pair in found):.2f}",
                f"{statistics.median(pair.ours / pair.psql for pair in found):.2f}",
                f"{case.limit}",
                f"{max(pair.peak_bytes for pair in found) / 1e6:.0f}",
            )
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(f"{records:,} records, {pairs} pairs, medians")
    console.print(table)
    if not same:
        console.print("Wrong: both tables held different rows.")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
