"""Source: one feed, declared once, ending in one table. Assembles the stages; does nothing itself."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from etl_assets.errors import DeclarationError
from etl_assets.model.alert import DEFAULT_ALERTS
from etl_assets.model.expectation import check_expectations
from etl_assets.model.monitors import Monitors
from etl_assets.model.partitions import Files, Partition
from etl_assets.validate.declaration import check_rules

if TYPE_CHECKING:
    from datetime import timedelta

    from etl_assets.extract.base import Extractor
    from etl_assets.model.alert import AlertRule
    from etl_assets.model.expectation import Expectation
    from etl_assets.model.partitions import Partitioning
    from etl_assets.model.schema import Schema
    from etl_assets.model.trigger import Trigger
    from etl_assets.transform.transformer import Transformer

CORE = "core"
"""Postgres schema of the tables that sources end in, and first part of their asset keys."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One feed.

    Attributes:
        name: The file's name, the table's name and the last part of the asset keys.
        description: What the feed is, who publishes it, what is odd about it.
        owner: Who answers for it: an e-mail address or ``team:name``.
        extractor: Where the bytes come from and what format they are in.
        schema: The contract.
        transformer: Reshapes valid records into rows, if need be.
        partitions: How the feed is cut; None for a feed that is always taken whole.
        trigger: What makes it run by itself; None for by hand only.
        max_rejected: The share of a delivery's records, 0.0 to 1.0, that may be rejected. Above it the run stops.
        runs_at_once: How many runs of the source may be under way together: the limit of its pool.
        freshness: How old the table may become before Dagster warns; None for any age.
        monitors: When the numbers of a delivery count as strange.
        expectations: What Great Expectations shall hold the stored table against, besides the schema.
        alerts: Who is told of what. A rule takes the place of the default one of its class; the others stand.
        tags: Dagster tags for every asset of the source.
    """

    name: str
    description: str
    owner: str
    extractor: Extractor
    schema: Schema
    transformer: Transformer | None = None
    partitions: Partitioning | None = None
    trigger: Trigger | None = None
    max_rejected: float = 0.0
    write: Literal["upsert"] = "upsert"
    runs_at_once: int = 1
    freshness: timedelta | None = None
    monitors: Monitors = field(default_factory=Monitors)
    expectations: tuple[Expectation, ...] = ()
    alerts: tuple[AlertRule, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"source {self.name!r}"
        self._check_values(where)
        self._check_parts(where)

    def _check_values(self, where: str) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower() or len(self.name) > 50:  # noqa: PLR2004
            raise DeclarationError(
                where, "name", "cannot be a table's name", "Use lower-case letters, digits and underscores, at most 50"
            )
        if not self.owner.startswith("team:") and "@" not in self.owner:
            raise DeclarationError(
                where, "owner", f"{self.owner!r} is nobody", "Write an e-mail address or 'team:name'"
            )
        if not 0.0 <= self.max_rejected <= 1.0:
            raise DeclarationError(where, "max_rejected", f"{self.max_rejected} is no share", "Write 0.0 to 1.0")
        if self.runs_at_once < 1:
            raise DeclarationError(where, "runs_at_once", f"{self.runs_at_once} is below 1", "Write 1 or more")
        if self.write != "upsert":
            raise DeclarationError(where, "write", f"{self.write!r} is unknown", "Write 'upsert'")

    def _check_parts(self, where: str) -> None:
        if (self.schema.derived or self.schema.inputs) and self.transformer is None:
            raise DeclarationError(
                where, "transformer", "is missing", "Derived columns and inputs need one to use them"
            )
        self.schema.check(where)
        check_rules(self.schema, where)
        self.extractor.check(where)
        if self.partitions is not None:
            self.partitions.check(where)
        if self.trigger is not None:
            self.trigger.check(where)
        self.monitors.check(self.schema.names, where)
        check_expectations(self.expectations, self.schema, where)
        for rule in self.alerts:
            rule.check(where)

    @property
    def table(self) -> str:
        """The table as ``schema.table``."""
        return f"{CORE}.{self.name}"

    @property
    def parents(self) -> frozenset[str]:
        """The tables that columns refer to, other than its own."""
        named = {column.parent.table for column in self.schema.columns if column.parent is not None}
        return frozenset(named - {self.table})

    @property
    def alert_rules(self) -> tuple[AlertRule, ...]:
        """The default rules, each replaced by the declared one of its class, and the others that are declared."""
        own = {type(rule) for rule in self.alerts}
        return (*(rule for rule in DEFAULT_ALERTS if type(rule) not in own), *self.alerts)

    @property
    def takes_files(self) -> bool:
        """Whether each file is a partition."""
        return isinstance(self.partitions, Files)

    def partition(self, key: str | None) -> Partition:
        """The partition of that name; the whole source for None.

        Raises:
            ValueError: If the source has no such partition, or has partitions and none is named.
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
        """SHA-256 (hex) of all that decides what rows the same bytes become."""
        code = inspect.getsource(type(self.transformer)) if self.transformer is not None else ""
        parts = (self.schema.fingerprint, repr(self.extractor.format), repr(self.transformer), code)
        return sha256("\0".join(parts).encode()).hexdigest()
