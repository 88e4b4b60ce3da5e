"""`Source`: one feed, declared once, that ends in one table. It assembles the stages and does no work itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import Extractor
from etl_assets.load.base import Loader
from etl_assets.load.loader import PostgresLoader
from etl_assets.load.writers import Upsert, Writer, check_partitioned
from etl_assets.model.alert import DEFAULT_ALERTS, AlertRule
from etl_assets.model.asset_attributes import (
    DEFAULT_GROUP,
    check_freshness,
    check_group,
    check_name,
    check_owner,
    check_queue,
    check_tags,
)
from etl_assets.model.checks import BUILT_IN
from etl_assets.model.declaration import Declaration
from etl_assets.model.expectation import Expectation
from etl_assets.model.limits import Limits
from etl_assets.model.monitors import Monitors
from etl_assets.model.partitions import Files, Partition, Partitioning
from etl_assets.model.trigger import After, Trigger
from etl_assets.schema import BOOKKEEPING, PartitionBy, Schema
from etl_assets.transform.transformer import Transformer
from etl_assets.user_code import code_of
from etl_assets.validate.base import Validator
from etl_assets.validate.partition_rule import PartitionRule
from etl_assets.validate.rule_validator import RuleValidator

if TYPE_CHECKING:
    from etl_assets.model.rule import RuleInfo
    from etl_assets.postgres.tables.ddl import Extension

LANDING: Final = "landing"
CORE: Final = "core"
"""Postgres schema of the tables that sources end in, and first part of their asset keys."""
QUARANTINE: Final = "quarantine"
_LEAST_FILLED: Final = 10
"""The least fillfactor that Postgres allows."""
_FULL: Final = 100
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")
"""What the representation of a function has that is different in each process."""


@dataclass(frozen=True, kw_only=True)
class Source(Declaration):
    """One feed.

    Attributes:
        name: The file's name, the table's name and the last part of the asset keys.
        description: What the feed is, who publishes it, and what is unusual about it; never None, although
            ``__doc__`` may be.
        owner: Who is responsible for it: an e-mail address or ``team:name``.
        extractor: Where the bytes come from and what format they have.
        schema: The contract.
        validator: Separates the records that keep the schema from those that do not.
        transformer: Reshapes valid records into rows; None if they need no reshaping.
        loader: Writes the rows.
        partitions: How the feed is cut into partitions; None for a feed that is always loaded whole.
        trigger: What starts runs automatically; None if runs start only by hand.
        write: The write mode: what the table contains after each delivery.
        partition_by: How the table is cut into child tables by a date, and how long rows are kept; None for one table.
        fillfactor: How full a page of the table becomes, in percent, 10 to 100, before rows go to another page. At most
            50 if most deliveries change most rows. None leaves it as it is, which is 100 for a new table.
        max_rejected: The share of a delivery's records, 0.0 to 1.0, that may be rejected. Above it the run stops.
        runs_at_once: How many runs of the source may run at the same time: the limit of its pool.
        workers: How many workers may load a delivery together, where runs are executed by workers.
        queue: The queue of its runs, where workers take runs from queues; None for the queue of all others.
        limits: The most memory and processors of a run that has a container or a pod; None for those of all others.
        freshness: How long ago the table may have been materialized before Dagster warns; None for any age. A run that
            finds nothing new materializes nothing.
        monitors: When the numbers of a delivery count as anomalous.
        expectations: What Great Expectations checks on the stored table, besides the schema.
        alerts: Alert rules. Each replaces the default rule of its class; the other default rules remain.
        group: Dagster's group of the assets of the source: its domain, such as ``aviation``.
        tags: Dagster tags for every asset of the source.
    """

    name: str
    description: str | None
    owner: str
    extractor: Extractor
    schema: Schema
    validator: Validator = field(default_factory=RuleValidator)
    transformer: Transformer | None = None
    loader: Loader = field(default_factory=PostgresLoader)
    partitions: Partitioning | None = None
    trigger: Trigger | None = None
    max_rejected: float = 0.0
    write: Writer = field(default_factory=Upsert)
    partition_by: PartitionBy | None = None
    fillfactor: int | None = None
    runs_at_once: int = 1
    workers: int = 1
    queue: str | None = None
    limits: Limits | None = None
    freshness: timedelta | None = None
    monitors: Monitors = field(default_factory=Monitors)
    expectations: tuple[Expectation, ...] = ()
    alerts: tuple[AlertRule, ...] = ()
    group: str = DEFAULT_GROUP
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"source {self.name!r}"
        self._check_values(where)
        object.__setattr__(self, "extractor", self.extractor.of_source(self.name))
        self._check_parts(where)

    def _check_values(self, where: str) -> None:
        check_name(self.name, where)
        if not self.about:
            raise DeclarationError(where, "description", "is empty", "Write what the feed is and who publishes it")
        if not 0.0 <= self.max_rejected <= 1.0:
            raise DeclarationError(where, "max_rejected", f"{self.max_rejected} is not a share", "Write 0.0 to 1.0")
        if self.fillfactor is not None and not _LEAST_FILLED <= self.fillfactor <= _FULL:
            problem = f"{self.fillfactor} is not a share that pages can be filled to"
            raise DeclarationError(where, "fillfactor", problem, f"Write {_LEAST_FILLED} to {_FULL}, in percent")
        if self.runs_at_once < 1:
            raise DeclarationError(where, "runs_at_once", f"{self.runs_at_once} is below 1", "Write 1 or more")
        if self.workers < 1:
            raise DeclarationError(where, "workers", f"{self.workers} is below 1", "Write 1 or more")
        check_owner(self.owner, where)
        check_group(self.group, where)
        check_tags(self.tags, where)
        if self.queue is not None:
            check_queue(self.queue, where)
        if self.limits is not None:
            self.limits.check(where)
        if self.freshness is not None:
            check_freshness(self.freshness, where)

    def _check_parts(self, where: str) -> None:
        self.schema.check(where)
        if (self.schema.derived or self.schema.inputs) and self.transformer is None:
            raise DeclarationError(
                where, "transformer", "is missing", "Derived columns and inputs need one to use them"
            )
        self.validator.check(self.schema, where)
        self.extractor.check(where)
        if self.partitions is not None:
            self.partitions.check(where)
            self._check_partition_column(self.partitions.column, where)
        self.extractor.check_partitions(self.partitions, where)
        self._check_write(where)
        if self.workers > 1 and not (self.write.in_turns and isinstance(self.loader, PostgresLoader)):
            problem = "is above 1, and only PostgresLoader with Upsert or Append loads a delivery by several workers"
            raise DeclarationError(where, "workers", problem, "Leave it out")
        if self.partition_by is not None:
            self.partition_by.check(self.schema, where)
            check_partitioned(self.write, where)
        if self.extractor.compares_keys is not None:
            self._check_compared_keys(where)
        if self.trigger is not None:
            self.trigger.check(where)
            self._check_upstream(self.trigger, where)
        self.monitors.check(self.schema.names, where)
        self._check_rules(where)
        self._check_expectations(where)
        for rule in self.alerts:
            rule.check(where)

    def _check_write(self, where: str) -> None:
        """Raise unless the write mode fits the schema, the partitions and what the extractor delivers."""
        mode = type(self.write).__name__
        if not self.schema.key and self.write.needs_key:
            problem = f"is empty, and {mode} needs a key"
            raise DeclarationError(where, "key", problem, "Name the columns that identify a row, or write Append()")
        self.write.check(self.schema, self.partitions, where)
        if self.write.deletes and self.extractor.delivers_changes:
            problem = f"is {mode}, which needs whole deliveries, and the extractor delivers changes"
            raise DeclarationError(where, "write", problem, "Let it fetch everything, or write Upsert() or Append()")

    def _check_compared_keys(self, where: str) -> None:
        """Raise unless each row has the key, and is of the partition, that its record was published with."""
        if self.transformer is not None:
            problem = "may change keys, and key_comparison compares them as they are published"
            raise DeclarationError(where, "transformer", problem, "Reshape in the query, or leave one of them out")
        if type(self.validator) is not RuleValidator or not isinstance(self.loader, PostgresLoader):
            problem = "compares keys as RuleValidator reads them, with a table that PostgresLoader writes"
            raise DeclarationError(where, "key_comparison", problem, "Leave it, or the validator or loader, out")
        if self.extractor.of_keys(self.schema.key) is None:
            problem = "compares keys, and of_keys returns no extractor for them"
            raise DeclarationError(where, "extractor", problem, "Define of_keys, or let compares_keys be None")
        if self.partitions is not None and self.partition_rule is None:
            problem = "needs a column that says to which partition a row belongs: a key may move to another one"
            remedy = "Write column= in the partitions, with a column of the key; or leave the partitions out"
            raise DeclarationError(where, "key_comparison", problem, remedy)

    def _check_partition_column(self, column: str | None, where: str) -> None:
        if column is not None and column not in self.schema.names:
            raise DeclarationError(where, "partitions", f"are cut by {column!r}, no column", "Name a declared column")
        if self.partition_rule is not None:
            self.partition_rule.check(self.schema, where)

    def _check_upstream(self, trigger: Trigger, where: str) -> None:
        """Raise if the source would wait for itself, or for partitions that nothing upstream has."""
        if not isinstance(trigger, After):
            return
        if own := {f"{part}/{self.name}" for part in (LANDING, CORE, QUARANTINE)} & set(trigger.assets):
            problem = f"names {own.pop()}, which is the source's own asset"
            raise DeclarationError(where, "trigger", problem, "Name an asset of another source: After('core/airlines')")
        if self.has_file_partitions:
            remedy = "Write OnChange(every=timedelta(minutes=5)): only a poll finds the new files"
            raise DeclarationError(where, "trigger", "is After, and each file is a partition", remedy)

    def _check_rules(self, where: str) -> None:
        """Raise if a rule that has a check of its own has the name of another check."""
        taken = {*BUILT_IN, *(rule.check for rule in self.rules if rule.check != rule.name)}
        for rule in self.rules:
            if rule.check == rule.name and rule.name in taken:
                problem = f"name a rule {rule.name!r}, which is the name of a check"
                raise DeclarationError(where, "rules", problem, "Give it a name of its own")

    def _check_expectations(self, where: str) -> None:
        """Raise unless each expectation is valid, and each check has a unique name."""
        taken = {*BUILT_IN, *(name for rule in self.rules for name in (rule.name, rule.check))}
        added = self.extension.columns if self.stored_table == self.table else ()  # a view has not all of them
        for expectation in self.expectations:
            expectation.check((*self.schema.names, *BOOKKEEPING, *added), where)
            if expectation.name in taken:
                raise DeclarationError(
                    where,
                    "expectations",
                    f"name a check {expectation.name!r}, which is taken",
                    "Give it a name of its own",
                )
            taken.add(expectation.name)

    @property
    def about(self) -> str:
        """The description, without the blanks around it."""
        return (self.description or "").strip()

    @property
    def table(self) -> str:
        """The name of the table, as ``schema.table``."""
        return f"{CORE}.{self.name}"

    @property
    def stored_table(self) -> str:
        """The name of the table that has the rows: ``table`` itself, or the one of which it is a view."""
        return self.writer.stored_in(self.table)

    @cached_property
    def writer(self) -> Writer:
        """The write mode, in the form that it has for the schema."""
        return self.write.form(self.schema)

    @cached_property
    def row_schema(self) -> Schema:
        """The schema of the rows that are stored: with the key by which the write mode keeps one of each."""
        return self.writer.row_schema(self.schema)

    @property
    def extension(self) -> Extension:
        """What the table has besides the columns of the schema."""
        return replace(self.writer.extension, partition_by=self.partition_by)

    @property
    def parents(self) -> frozenset[str]:
        """The tables that columns refer to, without the source's own table."""
        return frozenset({lookup.table for lookup in self.schema.lookups} - {self.table})

    @cached_property
    def partition_rule(self) -> PartitionRule | None:
        """The rule that each row belongs to its partition; None if no column says which partition that is."""
        if self.partitions is None or self.partitions.column is None:
            return None
        return PartitionRule(self.schema[self.partitions.column], self.partitions)

    @cached_property
    def rules(self) -> tuple[RuleInfo, ...]:
        """Every rule that a record can break, each once: those of the schema, the partitions and the stages."""
        stage_rules = (*self.extractor.frozen_format.rules, *self.validator.rules(self.schema), *self.loader.rules)
        partition_rules = (self.partition_rule.info,) if self.partition_rule is not None else ()
        rules: dict[str, RuleInfo] = {}
        for rule in (*self.schema.rule_infos, *partition_rules, *stage_rules):
            rules.setdefault(rule.name, rule)
        return tuple(rules.values())

    @property
    def alert_rules(self) -> tuple[AlertRule, ...]:
        """The declared alert rules, and the default rules of the classes that are not declared."""
        declared = {type(rule) for rule in self.alerts}
        return (*(rule for rule in DEFAULT_ALERTS if type(rule) not in declared), *self.alerts)

    @property
    def has_file_partitions(self) -> bool:
        """Whether each file is a partition of its own."""
        return isinstance(self.partitions, Files)

    def partition(self, key: str | None) -> Partition:
        """Return the partition with a key; None stands for the whole source.

        Raises:
            ValueError: If the source has no such partition, or has partitions and the key is missing.
        """
        if self.partitions is None:
            if key:
                raise ValueError(f"source {self.name!r} has no partitions; leave out {key!r}")
            return Partition()
        if not key:
            raise ValueError(f"source {self.name!r} has partitions; name one")
        return self.partitions.partition(key)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that decides which rows the same bytes become."""
        own = [stage for stage in (self.validator, self.transformer) if type(stage) not in {RuleValidator, type(None)}]
        rule = self.partition_rule
        member = () if self.extractor.member == "*" else (self.extractor.member,)
        stages = (self.extractor.format, self.validator, self.transformer, self.loader, self.write)
        code = code_of(f"source {self.name!r}", *stages, self.schema, self.partitions)
        mode = (self.write.identity,) if self.write.identity else ()
        parts = (self.schema.fingerprint, repr(self.extractor.frozen_format), *map(repr, own), *member, *mode, *code)
        return sha256("\0".join((*parts, "" if rule is None else rule.declaration)).encode()).hexdigest()

    @cached_property
    def verdict_fingerprint(self) -> str:
        """SHA-256 (hex) of everything that decides how a run ends: where it fetches, which rows, which checks."""
        code = code_of(f"source {self.name!r}", self.extractor)
        checks = (self.max_rejected, self.monitors, self.extractor.compares_keys)
        expectations = ((each.name, each.type, each.blocking, each.arguments) for each in self.expectations)
        extractor = _ADDRESS.sub("", repr(self.extractor))
        parts = (self.fingerprint, extractor, *map(repr, checks), *map(repr, expectations), *code)
        return sha256("\0".join(parts).encode()).hexdigest()
