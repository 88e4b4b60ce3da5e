"""Mistakes in the arguments of `Source` and `Schema`."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from etl_assets_tests.declarations.mistakes import KEY, E, assert_refused, located, schema, source, tabled

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.declarations.mistakes import Mistake

KEYLESS: Any = E.Schema((KEY,))


def changes(write: Any, **more: Any) -> Callable[[], object]:
    """Return a function that declares a source that fetches only what has changed."""
    later = E.Incremental("at", timedelta(hours=1))
    extractor = E.DatabaseExtractor("postgresql://db.example/shop", table="orders", incremental=later)
    return lambda: source(extractor=extractor, write=write, **more)


def events() -> Any:
    """Return an inbox that collects events."""
    return E.Inbox(E.Ndjson(), token=E.Secret("TOKEN"), events=E.Events())


def cut(
    column: str, *, required: bool = False, key: Any = ("k",), rules: Any = (), **more: Any
) -> Callable[[], object]:
    """Return a function that declares a source with child tables by a column."""
    columns = (KEY, E.Column("day", "date", required=required), E.Column("other", "text"))
    declared = E.Schema(columns, key, rules=rules)
    return lambda: source(schema=declared, partition_by=E.PartitionBy(column), **more)


def keeping(keep: str) -> Callable[[], object]:
    """Return a function that declares a source that keeps its rows for some time."""
    declared = E.Schema((E.Column("day", "date", required=True),), ("day",))
    return lambda: source(schema=declared, partition_by=E.PartitionBy("day", keep=keep))


SOURCES: dict[str, Mistake] = {
    "a name with capitals": (lambda: source(name="Feed"), "name", "Use lower-case letters"),
    "no name": (lambda: source(name=""), "name", "Use lower-case letters"),
    "a name of 51 characters": (lambda: source(name="a" * 51), "name", "at most 50"),
    "a number as the name": (lambda: source(name=5), "name", "Write a text"),
    "SQL as the name": (lambda: source(name="a; drop table x"), "name", "Use lower-case letters"),
    "a name that begins with a digit": (lambda: source(name="1a"), "name", "Use lower-case letters"),
    "a name with an umlaut": (lambda: source(name="börse"), "name", "Use lower-case letters"),
    "a name that Python keeps": (lambda: source(name="class"), "name", "Write a longer one: class_feed"),
    "a name that Dagster keeps": (lambda: source(name="config"), "name", "Write a longer one: config_feed"),
    "the name of a job": (lambda: source(name="replay"), "name", "Write a longer one: replay_feed"),
    "an owner without an address": (lambda: source(owner="me"), "owner", "Write an e-mail address or 'team:name'"),
    "an owner with half an address": (lambda: source(owner="me@home"), "owner", "Write an e-mail address"),
    "a team without a name": (lambda: source(owner="team:"), "owner", "'team:name'"),
    "no owner": (lambda: source(owner=None), "owner", "Write a text"),
    "an empty description": (lambda: source(description=" \n"), "description", "Write what the feed is"),
    "the docstring of a file that has none": (
        lambda: source(description=None),
        "description",
        "Write what the feed is",
    ),
    "a location as the extractor": (lambda: source(extractor="x.csv"), "extractor", "Write an Extractor"),
    "a format as the extractor": (lambda: source(extractor=E.Csv()), "extractor", "Write an Extractor"),
    "a class as the extractor": (lambda: source(extractor=E.FileExtractor), "extractor", "Write an instance of it"),
    "columns as the schema": (lambda: source(schema=(KEY,)), "schema", "Write a Schema"),
    "a function as the validator": (lambda: source(validator=print), "validator", "Write a Validator"),
    "no validator": (lambda: source(validator=None), "validator", "Write a Validator"),
    "a function as the transformer": (
        lambda: source(transformer=lambda frame: frame),
        "transformer",
        "Write a Transformer or None",
    ),
    "the class Transformer itself": (
        lambda: source(transformer=E.Transformer),
        "transformer",
        "Write an instance of a class that derives from it",
    ),
    "a class as the loader": (lambda: source(loader=E.PostgresLoader), "loader", "Write an instance of it"),
    "a percentage": (lambda: source(max_rejected=5), "max_rejected", "Write 0.0 to 1.0"),
    "a share below 0": (lambda: source(max_rejected=-0.1), "max_rejected", "Write 0.0 to 1.0"),
    "a share as a text": (lambda: source(max_rejected="1%"), "max_rejected", "Write a number"),
    "a share that is NaN": (lambda: source(max_rejected=float("nan")), "max_rejected", "Write a number"),
    "a Boolean as the share": (lambda: source(max_rejected=True), "max_rejected", "Write a number"),
    "a page filled to less than Postgres allows": (lambda: source(fillfactor=9), "fillfactor", "Write 10 to 100"),
    "a page filled beyond its size": (lambda: source(fillfactor=101), "fillfactor", "Write 10 to 100"),
    "half a percent of a page": (lambda: source(fillfactor=45.5), "fillfactor", "Write an integer"),
    "no run at once": (lambda: source(runs_at_once=0), "runs_at_once", "Write 1 or more"),
    "half a run at once": (lambda: source(runs_at_once=1.5), "runs_at_once", "Write an integer"),
    "a snapshot of what has changed": (changes(E.Snapshot()), "write", "Let it fetch everything"),
    "a partition that is replaced by what has changed": (changes(E.Replace(), schema=KEYLESS), "write", "or Append()"),
    "a snapshot of events": (
        lambda: source(extractor=events(), partitions=E.Files(), write=E.Snapshot()),
        "write",
        "Let it fetch everything",
    ),
    "no key, and a mode that needs one": (
        lambda: source(schema=KEYLESS),
        "key",
        "Name the columns that identify",
    ),
    "a mode by its name": (lambda: source(write="snapshot"), "write", "Write a Writer"),
    "child tables by a name": (lambda: source(partition_by="day"), "partition_by", "Write a PartitionBy or None"),
    "child tables by no column": (cut("month"), "partition_by", "Name a declared column"),
    "child tables by a number": (cut("k"), "partition_by", "Name a column of type date or timestamp"),
    "child tables by a column beside the key": (cut("day"), "partition_by", "Put the column into the key"),
    "child tables by what may be missing": (
        cut("day", key=(), write=E.Append()),
        "partition_by",
        "Write required=True",
    ),
    "child tables, and a value that is unique in all of them": (
        cut("day", required=True, key=("k", "day"), rules=(E.UniqueTogether("k", "other"),)),
        "partition_by",
        "Put the column into that rule",
    ),
    "child tables for each hour": (lambda: E.PartitionBy("day", every="hour"), "every", "Write 'day'"),
    "a number as what is kept": (lambda: E.PartitionBy("day", keep=3), "keep", "Write a text or None"),
    "hours as what is kept": (keeping("72 hours"), "partition_by", "Write a number of days"),
    "nothing as what is kept": (keeping("0 days"), "partition_by", "keep='3 years'"),
    "a newline in what is kept": (keeping("3 days\n"), "partition_by", "keep='3 years'"),
    "no workers": (lambda: source(workers=0), "workers", "Write 1 or more"),
    "several workers for a snapshot": (lambda: source(workers=2, write=E.Snapshot()), "workers", "Leave it out"),
    "a queue with capitals": (lambda: source(queue="Big"), "queue", "Use lower-case letters"),
    "two queues": (lambda: source(queue="big,small"), "queue", "Use lower-case letters"),
    "a queue of the broker": (lambda: source(queue="amq.big"), "queue", "Use lower-case letters"),
    "a group with a blank": (lambda: source(group="air traffic"), "group", "letters, digits and underscores"),
    "no name of a group": (lambda: source(group=""), "group", "Write the domain"),
    "no name of a queue": (lambda: source(queue=""), "queue", "at most 63"),
    "a memory as the limits": (lambda: source(limits="1Gi"), "limits", "Limits"),
    "no limits": (lambda: source(limits=E.Limits()), "limits", "leave them out"),
    "a memory in megabytes": (lambda: source(limits=E.Limits(memory="500MB")), "limits", "'512Mi' or '2Gi'"),
    "a memory without a unit": (lambda: source(limits=E.Limits(memory="banana")), "limits", "'512Mi' or '2Gi'"),
    "no processors": (lambda: source(limits=E.Limits(processors=0.0)), "limits", "such as 0.5"),
    "endless processors": (lambda: source(limits=E.Limits(processors=float("inf"))), "limits", "such as 0.5"),
    "processors that are no number": (lambda: E.Limits(processors=float("nan")), "processors", "Write a number"),
    "seconds as the freshness": (lambda: source(freshness=5), "freshness", "Write a timedelta or None"),
    "a freshness below 0": (lambda: source(freshness=timedelta(-1)), "freshness", "Write timedelta(minutes=1)"),
    "a freshness of 0": (lambda: source(freshness=timedelta()), "freshness", "Write timedelta(minutes=1)"),
    "tags as a list": (lambda: source(tags=["a"]), "tags", "Write a mapping of texts to texts"),
    "a tag with blanks": (lambda: source(tags={"a b!": "c"}), "tags", "Write letters, digits"),
    "a number as a tag": (lambda: source(tags={"a": 1}), "tags", "Write a mapping of texts to texts"),
    "a trailing newline in a tag": (lambda: source(tags={"a": "b\n"}), "tags", "Write letters, digits"),
    "a name as the trigger": (lambda: source(trigger="daily"), "trigger", "Write a Trigger or None"),
    "a name as the partitions": (lambda: source(partitions="daily"), "partitions", "Write a Partitioning or None"),
    "a class as the partitions": (lambda: source(partitions=E.Daily), "partitions", "Write an instance of it"),
    "a name as the alerts": (lambda: source(alerts="x"), "alerts", "Write a tuple of AlertRule"),
    "a single alert rule": (lambda: source(alerts=E.RunFailed()), "alerts", "Write (a RunFailed,)"),
    "the name of an expectation": (
        lambda: source(expectations=("expect_column_to_exist",)),
        "expectations",
        "Write a tuple of Expectation",
    ),
    "no monitors": (lambda: source(monitors=None), "monitors", "Write a Monitors"),
    "a partition column that is none": (
        lambda: source(partitions=E.Daily(date(2024, 1, 1), column="day")),
        "partitions",
        "Name a declared column",
    ),
    "an expectation that the library lacks": (
        lambda: source(expectations=(E.Expectation("expect_nonsense", column="k"),)),
        "expectations",
        "Write one of its names",
    ),
    "an expectation about another column": (
        lambda: source(expectations=(E.Expectation("expect_column_values_to_be_unique", column="z"),)),
        "expectations",
        "Use declared columns",
    ),
    "an expectation with the name of the check of a column": (
        lambda: source(expectations=(E.Expectation("expect_column_to_exist", column="k", name="values__k"),)),
        "expectations",
        "Give it a name of its own",
    ),
    "an expectation with the name of a rule": (
        lambda: source(expectations=(E.Expectation("expect_column_to_exist", column="k", name="k__type"),)),
        "expectations",
        "Give it a name of its own",
    ),
    "a rule with the name of the check of records": (
        lambda: schema(rules=(E.Rule("record", pl.col("k") > 0, "k is above 0"),)),
        "rules",
        "Give it a name of its own",
    ),
    "a rule with the name of a built-in check": (
        lambda: schema(rules=(E.Rule("drift", pl.col("k") > 0, "k is above 0"),)),
        "rules",
        "Give it a name of its own",
    ),
    "a rule over columns with the name of the check of a column": (
        lambda: schema(
            E.Column("values", "text"),
            E.Column("x", "text"),
            E.Column("x__unique", "integer"),
            rules=(E.UniqueTogether("values", "x"),),
        ),
        "rules",
        "Give it a name of its own",
    ),
    "a check that has a name of ours": (
        lambda: source(expectations=(E.Expectation("expect_column_to_exist", column="k", name="shape"),)),
        "expectations",
        "Give it a name of its own",
    ),
    "a blocking expectation by a word": (
        lambda: E.Expectation("expect_column_to_exist", column="k", blocking="yes"),
        "blocking",
        "Write True or False",
    ),
    "a derived column without a transformer": (
        lambda: schema(E.Column("a", "text", derived=True)),
        "transformer",
        "Derived columns and inputs need one",
    ),
}
SCHEMAS: dict[str, Mistake] = {
    "no columns": (lambda: source(schema=E.Schema((), ())), "columns", "Declare at least one column"),
    "a column without a comma": (lambda: E.Schema(KEY, ("k",)), "columns", "Write (a Column,)"),
    "columns in a list": (lambda: E.Schema([KEY], ("k",)), "columns", "Write a tuple, in round brackets"),
    "a name as a column": (lambda: schema("a"), "columns", "Write a tuple of Column"),
    "more columns than allowed": (
        lambda: schema(*(E.Column(f"c{number}", "text") for number in range(500))),
        "columns",
        "Put the rest in one json column",
    ),
    "a column twice": (lambda: schema(KEY), "columns", "Let each name mean one thing"),
    "one published name for two columns": (
        lambda: schema(E.Column("a", "text", published_as="k")),
        "published_as",
        "Let each name mean one thing",
    ),
    "a key that is no column": (lambda: schema(key=("z",)), "key or order_by", "Use declared ones"),
    "no key": (lambda: schema(key=()), "key", "Name the columns that identify a row"),
    "a text as the key": (lambda: schema(key="k"), "key", "Write ('k',)"),
    "a list as the key": (lambda: schema(key=["k"]), "key", "Write a tuple, in round brackets"),
    "a column as the key": (lambda: schema(key=(KEY,)), "key", "Write a tuple of texts"),
    "a key column twice": (lambda: schema(key=("k", "k")), "key", "Let each name mean one thing"),
    "a key that may be missing": (
        lambda: schema(E.Column("a", "text"), key=("a",)),
        "required",
        "A key or order column is required=True",
    ),
    "a key of JSON": (lambda: schema(E.Column("a", "json", required=True), key=("a",)), "type", "Use text"),
    "a text as the ignored names": (lambda: schema(ignored="abc"), "ignored", "Write ('abc',)"),
    "a column that is ignored": (lambda: schema(ignored=("k",)), "ignored", "Let each name mean one thing"),
    "an order column that is none": (lambda: schema(order_by="z"), "key or order_by", "Use declared ones"),
    "several order columns": (lambda: schema(order_by=("k",)), "order_by", "Write a text or None"),
    "an order column that may be missing": (
        lambda: schema(E.Column("o", "integer"), order_by="o"),
        "required",
        "A key or order column is required=True",
    ),
    "a single input": (lambda: schema(inputs=E.Column("a", "text")), "inputs", "Write (a Column,)"),
    "an expression as a rule": (lambda: schema(rules=("k > 0",)), "rules", "Write a tuple of RecordRule"),
    "a rule of a column as a rule of records": (
        lambda: schema(rules=(E.References("core.a.b"),)),
        "rules",
        "Write a tuple of RecordRule",
    ),
    "a text as the columns of a reference": (lambda: E.ForeignKey("ab", "core.p"), "columns", "Write ('ab',)"),
    "an unknown treatment of records without a parent": (
        lambda: E.ForeignKey(("a", "b"), "core.p", missing="lose"),
        "missing",
        "Write 'park', 'reject' or 'report'",
    ),
    "columns in a tuple that belong side by side": (lambda: E.UniqueTogether(("a", "b")), "columns", "Write a text"),
    "a rule without words": (lambda: E.Rule("r", print, None), "words", "Write a text"),
    "the columns of a rule as a text": (lambda: E.Rule("r", print, "w", columns="k"), "columns", "Write ('k',)"),
    "a rule that is a text": (
        lambda: schema(rules=(E.Rule("r", "k > 0", "k is above 0", columns=("k",)),)),
        "condition",
        "Write pl.col(...) > 0",
    ),
}


@tabled(SOURCES)
def test_a_mistake_in_a_source_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


@tabled(SCHEMAS)
def test_a_mistake_in_a_schema_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


def test_a_source_with_every_argument_is_accepted() -> None:
    declared = located(
        "{key}.csv",
        validator=E.RuleValidator(),
        transformer=None,
        loader=E.PostgresLoader(),
        partitions=E.Daily(date(2024, 1, 1), end=date(2024, 2, 1)),
        trigger=E.Cron("0 4 * * *"),
        max_rejected=0,
        write=E.Upsert(),
        partition_by=None,
        runs_at_once=2,
        workers=2,
        group="aviation",
        queue="big",
        limits=E.Limits(memory="1Gi", processors=0.5),
        freshness=timedelta(hours=26),
        monitors=E.Monitors(),
        expectations=(E.Expectation("expect_column_values_to_be_unique", column="k", blocking=True),),
        alerts=(E.RunFailed(),),
        tags={"domain": "retail", "team/tier": "1"},
    )
    assert declared.name == "feed"


def test_a_schema_with_every_argument_is_accepted() -> None:
    rules = (
        E.Rule("r", lambda frame: frame["k"] > 0, "k is above 0", columns=("k",)),
        E.UniqueTogether("k", "a"),
        E.ForeignKey(("k", "a"), "core.p", ("x", "y"), missing="report"),
    )
    columns = (KEY, E.Column("a", "text"))
    inputs = (E.Column("b", "text"),)
    declared = E.Schema(columns, ("k",), ignored=("c",), order_by="k", inputs=inputs, rules=rules)
    declared.check("source 'feed'")
    assert declared.names == ("k", "a")
