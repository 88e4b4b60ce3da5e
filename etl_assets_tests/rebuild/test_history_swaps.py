"""What is attached to a history survives a swap; readers of the view, the table and the function notice nothing."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from etl_assets.errors import IncompatibleTableError, RebuildError
from etl_assets.schema import Column, Schema
from etl_assets_tests.ingest.test_history import as_of, dated, take, versions
from etl_assets_tests.ingest.world import GOODS
from etl_assets_tests.rebuild.test_building import AS_TEXT, BY_NOTE, swap, traces, verify
from etl_assets_tests.rebuild.test_swapping import execute, roles

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

__all__ = ["dated", "roles"]

ATTACHED = (
    "SELECT c.oid::regclass::text, array(SELECT a::text FROM unnest(relacl) a ORDER BY 1), "
    "obj_description(c.oid, 'pg_class'), reloptions, pg_get_userbyid(relowner), (SELECT array_agg(attname || "
    "coalesce(attacl::text, '') || coalesce(col_description(attrelid, attnum), '') ORDER BY attnum) FROM pg_attribute "
    "WHERE attrelid = c.oid AND attnum > 0), CASE relkind WHEN 'v' THEN pg_get_viewdef(c.oid) END, array(SELECT "
    "pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = c.oid AND indexrelid::regclass::text NOT LIKE "
    "'%\\_current' AND indexrelid::regclass::text NOT LIKE '%\\_brin' ORDER BY 1), array(SELECT "
    "pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE conrelid = c.oid ORDER BY 1) FROM pg_class c "
    "WHERE c.relname IN ('goods', 'goods_history', 'dear', 'dearer', 'former', 'sales') "
    "AND relkind IN ('r', 'v') ORDER BY 1"
)
FUNCTION = (
    "SELECT oid, array(SELECT a::text FROM unnest(proacl) a ORDER BY 1), obj_description(oid, 'pg_proc') FROM pg_proc "
    "WHERE proname = 'goods_as_of'"
)


@pytest.fixture
def loaded(dated: World) -> World:
    take(dated, 1, "a,1,x", "b,2,y")
    take(dated, 3, "a,3,x", "b,2,y")
    return dated


def test_what_is_attached_to_the_view_the_table_and_the_function_survives(
    loaded: World, roles: tuple[str, str]
) -> None:
    reader, _ = roles
    execute(
        loaded,
        f"GRANT SELECT ON core.goods TO {reader} WITH GRANT OPTION",
        f"GRANT SELECT (code) ON core.goods_history TO {reader}",
        "REVOKE ALL ON FUNCTION core.goods_as_of FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION core.goods_as_of TO {reader}",
        "COMMENT ON FUNCTION core.goods_as_of IS 'What was.'",
        "COMMENT ON TABLE core.goods_history IS 'All prices.'",
        "COMMENT ON COLUMN core.goods.note IS 'Of the clerk.'",
        "CREATE VIEW public.dear WITH (security_barrier) AS SELECT code AS name, amount FROM core.goods",
        "CREATE VIEW public.dearer AS SELECT d.name FROM public.dear d JOIN core.goods_history h ON h.code = d.name",
        "CREATE VIEW public.former AS SELECT * FROM core.goods_as_of('2024-01-02Z')",
        f"GRANT SELECT ON public.former TO {reader}",
        "CREATE INDEX goods_by_note ON core.goods_history (lower(note)) WHERE amount > 0",
        "ALTER TABLE core.goods_history ADD CONSTRAINT few CHECK (amount < 1000)",
        "CREATE TABLE public.sales (good text, since bigint, CONSTRAINT of_goods FOREIGN KEY (good, since) "
        "REFERENCES core.goods_history)",
        "INSERT INTO public.sales VALUES ('a', 1)",
    )
    before, function = loaded.query(ATTACHED), loaded.query(FUNCTION)
    assert len(before) == 6
    oid = loaded.query("SELECT 'core.goods_history'::regclass::oid")
    swap(loaded)
    assert loaded.query("SELECT 'core.goods_history'::regclass::oid") != oid
    assert loaded.query(ATTACHED) == before
    assert loaded.query(FUNCTION) == function
    assert loaded.query("SELECT code, amount FROM public.former ORDER BY 1") == [("a", 1), ("b", 2)]
    assert traces(loaded) == []
    assert loaded.query("SELECT proname FROM pg_proc WHERE pronamespace = 'etl_rebuild'::regnamespace") == []
    swap(loaded)
    assert loaded.query(ATTACHED) == before
    indexes = "SELECT count(*) FROM pg_index WHERE indrelid = 'core.goods_history'::regclass"
    assert loaded.query(indexes) == [(4,)]
    assert loaded.violations() == []


def test_a_changed_key_of_a_history_is_refused_with_the_command_that_loads_it(dated: World) -> None:
    take(dated, 1, "a,1,x", "b,2,y")
    take(dated, 3, "a,5,z", "b,2,y")
    changed = dated.other(schema=BY_NOTE)
    with pytest.raises(IncompatibleTableError, match="`etl-assets rebuild goods --swap`"):
        take(changed, 5, "a,6,z", "b,2,y")
    assert "has the key (code, _delivery_id), and (code, note, _delivery_id) is declared" in verify(changed).notes[0]
    swap(changed)
    assert versions(changed) == [("a", 1, 1, None), ("a", 5, 3, 5), ("a", 6, 5, None), ("b", 2, 1, None)]
    assert verify(changed).differing == 0
    assert changed.violations() == []
    take(changed, 7, "a,7,z")
    assert as_of(changed, "2024-01-08Z") == [("a", 1), ("a", 7), ("b", 2)]
    assert changed.violations() == []


def test_a_changed_type_of_a_history_is_loaded_by_a_rebuild_and_views_follow(loaded: World) -> None:
    execute(
        loaded,
        "CREATE VIEW public.amounts AS SELECT amount FROM core.goods",
        "CREATE VIEW public.former AS SELECT amount FROM core.goods_as_of('2024-01-02Z')",
        "GRANT SELECT ON core.goods TO PUBLIC",
        "REVOKE ALL ON FUNCTION core.goods_as_of FROM PUBLIC",
        "COMMENT ON FUNCTION core.goods_as_of IS 'What was.'",
    )
    changed = loaded.other(schema=AS_TEXT)
    with pytest.raises(IncompatibleTableError, match="`etl-assets rebuild goods --swap`"):
        take(changed, 5, "a,5,x")
    verified = verify(changed)
    assert "Not compared, since the table in use lacks them or has them with another type: amount." in verified.notes
    swap(changed)
    assert changed.query("SELECT * FROM public.amounts ORDER BY 1") == [("2",), ("5",)]
    assert changed.query("SELECT * FROM public.former ORDER BY 1") == [("1",), ("2",)]
    assert as_of(changed, "2024-01-04Z") == [("a", "3"), ("b", "2")]
    assert changed.query("SELECT has_table_privilege('pg_monitor', 'core.goods', 'SELECT')") == [(True,)]
    granted = "SELECT has_function_privilege('pg_monitor', 'core.goods_as_of(timestamptz)', 'EXECUTE')"
    assert changed.query(granted) == [(False,)]
    assert changed.query("SELECT obj_description('core.goods_as_of'::regproc, 'pg_proc')") == [("What was.",)]
    assert changed.violations() == []


def test_a_view_that_needs_a_column_that_is_gone_keeps_the_history_and_is_named(loaded: World) -> None:
    execute(loaded, "CREATE VIEW public.former AS SELECT amount FROM core.goods_as_of('2024-01-02Z')")
    shorter = loaded.other(schema=Schema((GOODS.columns[0], GOODS.columns[2]), key=("code",)))
    before = versions(loaded)
    with pytest.raises(RebuildError, match=r"These views do not fit the new table: public\.former"):
        swap(shorter)
    assert versions(loaded) == before
    assert loaded.violations() == []


def test_a_new_column_that_a_load_may_not_give_the_function_is_given_by_a_rebuild(loaded: World) -> None:
    execute(loaded, "CREATE VIEW public.former AS SELECT amount FROM core.goods_as_of('2024-01-02Z')")
    longer = loaded.other(schema=replace(GOODS, columns=(*GOODS.columns, Column("at", "text"))))
    with pytest.raises(IncompatibleTableError, match="`etl-assets rebuild NAME --swap`"):
        longer.take("a,1,x,y", file="2024-01-05.csv", header="code,amount,note,at")
    swap(longer)
    assert longer.query("SELECT amount, at FROM core.goods_as_of('2024-01-09Z') ORDER BY 1") == [(1, "y"), (2, None)]
    assert longer.query("SELECT * FROM public.former ORDER BY 1") == [(1,), (2,)]
    assert longer.violations() == []


def test_readers_see_either_history_and_no_error(dated: World) -> None:
    keys = [f"{first}{second}" for first in "abcdefghij" for second in "abcdefghij"]
    take(dated, 1, *(f"{key},1,x" for key in keys))
    take(dated, 3, *(f"{key},2,x" for key in keys))
    execute(dated, "CREATE VIEW public.counted AS SELECT count(*) AS rows, min(length(note)) AS least FROM core.goods")
    changed = dated.other(schema=AS_TEXT)
    questions = {
        "SELECT count(*) FROM core.goods": 100,
        "SELECT count(*) FROM core.goods_history WHERE _valid_to IS NULL OR note = 'x'": 200,
        "SELECT count(*) FROM core.goods_as_of('2024-01-02Z')": 100,
        "SELECT count(*) FROM (SELECT core.goods_as_of('2024-01-02Z')) s": 100,
        "SELECT count(*) FROM core.goods g, core.goods_as_of('2024-01-02Z') f WHERE f.code = g.code": 100,
        "SELECT rows FROM public.counted": 100,
    }
    with reading(dated.url, questions) as (seen, problems):
        for here in (dated, dated, changed, dated):
            swap(here)
    assert problems == []
    assert seen == set(questions.items())
    assert dated.violations() == []


class reading:  # noqa: N801 -- a block
    """Ask some questions again and again, each in sessions of its own, while a block runs."""

    def __init__(self, url: str, questions: dict[str, int]) -> None:
        self.url = url
        self.seen = set[tuple[str, Any]]()
        self.problems = list[str]()
        self.done = threading.Event()
        self.threads = [
            threading.Thread(target=self.read, args=(question,), kwargs={"prepared": prepared})
            for question in questions
            for prepared in (True, False)
        ]

    def read(self, question: str, *, prepared: bool) -> None:
        try:
            while not self.done.is_set():
                with psycopg.connect(self.url, autocommit=True) as connection:
                    for _ in range(20):
                        rows = connection.execute(question.encode(), prepare=prepared).fetchall()
                        self.seen.update((question, row[0]) for row in rows)
        except psycopg.Error as error:
            self.problems.append(f"{question}: {error}")

    def __enter__(self) -> tuple[set[tuple[str, Any]], list[str]]:
        for thread in self.threads:
            thread.start()
        return self.seen, self.problems

    def __exit__(self, *_: object) -> None:
        self.done.set()
        for thread in self.threads:
            thread.join()


def test_a_function_that_calls_the_one_of_a_history_keeps_a_history_with_other_columns(loaded: World) -> None:
    execute(
        loaded,
        "CREATE FUNCTION public.how_many() RETURNS bigint LANGUAGE sql BEGIN ATOMIC "
        "SELECT count(*) FROM core.goods_as_of(now()); END",
    )
    before = versions(loaded)
    changed = loaded.other(schema=AS_TEXT)
    with pytest.raises(RebuildError, match=r"function core\.goods_as_of"):
        swap(changed)
    assert versions(loaded) == before
    execute(loaded, "DROP FUNCTION public.how_many()")
    swap(changed)
    assert traces(changed) == []
