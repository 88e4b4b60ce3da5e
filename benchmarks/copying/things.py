"""The table that is copied: twelve columns of twelve types, and the same for every way."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import urlsplit

from etl_assets import Column, Database, DatabaseExtractor, Schema, Secret, Source

PASSWORD: Final = "ETL_ASSETS_BENCHMARK_PASSWORD"  # noqa: S105 -- the name of a variable
COLUMNS: Final = (
    "id bigint primary key, amount numeric(38,9), at timestamptz, day date, doc jsonb, uid uuid, code text, "
    "nums text, name text, ratio float8, flag boolean, small int2"
)
"""Neither bytes nor arrays: dlt cannot copy bytes by its Arrow backend."""
FILL: Final = """
insert into public.things
select i, i * 1.000000001::numeric(38,9), '2020-01-01Z'::timestamptz + i * interval '1 second',
    '2000-01-01'::date + i % 9000, jsonb_build_object('n', i, 'name', 'x' || i, 'list', jsonb_build_array(i, i + 1)),
    md5(i::text)::uuid, md5((i + 1)::text), array[i, i + 1, i + 2]::text, 'name of the thing ' || i, i / 7.0, i % 2 = 0,
    (i % 30000)::int2
from generate_series(1, {rows}) i
"""
DIGEST: Final = """
select count(*), sum(id), sum(amount), max(at), min(day), sum((doc ->> 'n')::bigint), max(uid::text), max(code),
    max(nums), max(name), sum(ratio)::numeric(30,3), sum(flag::int), sum(small)::numeric
from {table}
"""
SCHEMA: Final = Schema(
    columns=(
        Column("id", "integer", required=True),
        Column("amount", "decimal", precision=38, scale=9),
        Column("at", "timestamp", formats=("%Y-%m-%d %H:%M:%S%z",)),
        Column("day", "date"),
        Column("doc", "json"),
        Column("uid", "uuid"),
        Column("code", "text"),
        Column("nums", "text"),
        Column("name", "text"),
        Column("ratio", "float"),
        Column("flag", "boolean"),
        Column("small", "integer"),
    ),
    key=("id",),
)


def source(url: str) -> Source:
    """Return the declaration of the table in a database; its password is put into the environment."""
    parts = urlsplit(url)
    os.environ[PASSWORD] = parts.password or ""
    return Source(
        name="things",
        description="Things with a column of each type.",
        owner="team:benchmarks",
        extractor=DatabaseExtractor(
            url=f"postgresql://{parts.hostname}:{parts.port}{parts.path}",
            table="public.things",
            access=Database(user=parts.username or "", password=Secret(PASSWORD)),
        ),
        schema=SCHEMA,
    )
