"""The reference: a load of the clean rows as one would write it by hand for psql. It validates nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from benchmarks.measure import measure
from benchmarks.server import psql, psql_environment

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Process

TABLE: Final = "public.bench_feed"
DDL: Final = f"""
create table {TABLE} (
  id bigint primary key,
  code text not null,
  name text not null,
  category text not null,
  quantity bigint not null,
  weight double precision,
  price numeric(12,2) not null,
  active boolean not null,
  listed_on date not null,
  counted_at timestamp not null,
  changed_at timestamptz not null,
  note text
)"""
_SCRIPT: Final = r"""
\timing on
begin;
create temporary table stage (like {table}) on commit drop;
\copy stage from '{file}' with (format csv, header)
insert into {table} select * from stage
  on conflict (id) do update set
    code = excluded.code, name = excluded.name, category = excluded.category, quantity = excluded.quantity,
    weight = excluded.weight, price = excluded.price, active = excluded.active, listed_on = excluded.listed_on,
    counted_at = excluded.counted_at, changed_at = excluded.changed_at, note = excluded.note;
commit;
"""
_STEPS: Final = ("begin", "create", "copy", "insert", "commit")


def load(url: str, clean: Path, work: Path) -> tuple[Process, dict[str, float]]:
    """Load a file of clean rows with psql.

    Args:
        url: The database, which has the table.
        clean: The rows, with a header.
        work: Folder for the script and what psql says.

    Returns:
        The process, and the seconds of each statement by psql's own clock.
    """
    script = work / "reference.sql"
    script.write_text(_SCRIPT.format(table=TABLE, file=str(clean).replace("'", "''")))
    command = [str(psql()), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={script}"]
    process = measure(command, environment=psql_environment(url), work=work)
    times = [float(found) / 1000 for found in re.findall(r"^Time: ([0-9.]+) ms", process.output, re.MULTILINE)]
    return process, dict(zip(_STEPS, times, strict=True))
