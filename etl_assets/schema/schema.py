"""The declared contract of a feed: columns, key, rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration
from etl_assets.model.rule import KEY_UNIQUE, RuleInfo
from etl_assets.schema.column import Column
from etl_assets.schema.names import check_no_twins
from etl_assets.schema.repeated_keys import Greatest, RepeatedKeys
from etl_assets.schema.rules import RecordRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.schema.rules import Lookup, UniqueClaim
    from etl_assets.schema.types import DataType

MAX_COLUMNS: Final = 500


@dataclass(frozen=True)
class Schema(Declaration):
    """The contract of one table.

    Attributes:
        columns: The table's columns, in order.
        key: Names of the columns that identify a row; they are required. Empty if nothing identifies a row, which only
            some write modes allow.
        ignored: Published names that are known and not wanted; any other unmapped name is drift.
        order_by: A required column that orders the versions of a key, oldest first, if the publisher has one.
        inputs: Columns that are published and validated and passed to the transformer, but are not in the table: for
            example those of a wide feed that is unpivoted.
        rules: The rules that each record as a whole must keep: `Rule`, `UniqueTogether`, `ForeignKey`.
        repeated_keys: What happens to a record if an earlier one of its delivery has the same key, and the same value
            of the order column, but other contents: ``"report"`` it, ``"reject"`` it, or nothing: the ``"last"`` wins,
            as it does if it is reported. Or the ``"first"`` wins, or the one with the `Greatest` value of a column; or
            ``"reject_all"`` records of the key. Records with the same contents are never reported or rejected.
    """

    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    order_by: str | None = None
    inputs: tuple[Column, ...] = ()
    rules: tuple[RecordRule, ...] = ()
    repeated_keys: RepeatedKeys = "report"
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name.update({column.name: column for column in self.columns})

    def __getitem__(self, name: str) -> Column:
        """Return the column of that name."""
        return self._by_name[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def published(self) -> tuple[Column, ...]:
        """The columns that a delivery brings."""
        return (*(column for column in self.columns if not column.derived), *self.inputs)

    @property
    def derived(self) -> tuple[Column, ...]:
        """The columns that the transformer makes."""
        return tuple(column for column in self.columns if column.derived)

    @cached_property
    def rule_infos(self) -> tuple[RuleInfo, ...]:
        """The descriptions of all rules, of columns and of whole records."""
        of_columns = (info for column in (*self.columns, *self.inputs) for info in column.rule_infos)
        of_records = (RuleInfo(rule.name, rule.words, rule.columns, rule.by_consent) for rule in self.rules)
        return (*of_columns, *self.key_rules, *of_records)

    @property
    def key_rules(self) -> tuple[RuleInfo, ...]:
        """The rule that no key is repeated with other contents; none if it does not matter."""
        if self.repeated_keys not in {"report", "reject", "reject_all"} or not self.key:
            return ()
        words = "no other record of the delivery has the same key and other contents"
        return (RuleInfo(KEY_UNIQUE, words, self.key, by_consent=self.repeated_keys != "report"),)

    @cached_property
    def claims(self) -> tuple[UniqueClaim, ...]:
        """The values that no two rows of the table may share, beyond the key."""
        of_columns = (rule.claim(column.name) for column in self.columns for rule in column.rules)
        return tuple(claim for claim in (*of_columns, *(rule.claim for rule in self.rules)) if claim is not None)

    @cached_property
    def lookups(self) -> tuple[Lookup, ...]:
        """The references of rows to rows of other tables, or of their own."""
        of_columns = (rule.lookup(column.name) for column in self.columns for rule in column.rules)
        return tuple(lookup for lookup in (*of_columns, *(rule.lookup for rule in self.rules)) if lookup is not None)

    def published_key(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names under which a delivery publishes the key's columns; none if it does not publish all."""
        published = [next((name for name in self[key].published_names if name in names), None) for key in self.key]
        if any(self[key].derived for key in self.key):
            return ()
        return tuple(name for name in published if name is not None) if None not in published else ()

    def types(self) -> dict[str, DataType]:
        """Return the types of the table's columns, by name."""
        return {column.name: column.type for column in self.columns}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the declaration; changes whenever a rule, a name or a type does."""
        rules = tuple(rule.identity for rule in self.rules)
        declaration: tuple[object, ...] = (self.columns, self.key, self.ignored, self.order_by, self.inputs, rules)
        if self.repeated_keys not in {"report", "last"}:
            declaration = (*declaration, self.repeated_keys)
        return sha256(repr(declaration).encode()).hexdigest()

    def check(self, where: str) -> None:
        """Raise unless the declaration is sound.

        Args:
            where: How the error names the owner, e.g. ``source 'flights'``.

        Raises:
            DeclarationError: With the field and the remedy.
        """
        if not self.columns:
            raise DeclarationError(where, "columns", "is empty", "Declare at least one column")
        if len(self.columns) > MAX_COLUMNS:
            raise DeclarationError(where, "columns", f"are more than {MAX_COLUMNS}", "Put the rest in one json column")
        for column in (*self.columns, *self.inputs):
            column.check(where)
        self._check_names(where)
        self._check_key(where)
        self._check_rules(where)

    def _check_names(self, where: str) -> None:
        every = (*self.names, *(column.name for column in self.inputs))
        check_no_twins(every, where, "columns", "declare the name {} twice")
        mapped = [name for column in self.published for name in column.published_names]
        check_no_twins(mapped, where, "published_as", "maps {!r} to two columns")
        check_no_twins([*mapped, *self.ignored], where, "ignored", "names {!r} twice, or although a column maps it")

    def _check_key(self, where: str) -> None:
        for name in (*self.key, *((self.order_by,) if self.order_by else ())):
            if name not in self._by_name:
                raise DeclarationError(where, "key or order_by", f"names unknown column {name!r}", "Use declared ones")
            if not self[name].required:
                raise DeclarationError(
                    f"column {name!r} of {where}", "required", "is False", "A key or order column is required=True"
                )
            if self[name].type.name == "json":
                raise DeclarationError(f"column {name!r} of {where}", "type", "json cannot be a key", "Use text")
        check_no_twins(self.key, where, "key", "names {!r} twice")
        if isinstance(self.repeated_keys, Greatest):
            self._check_greatest(self.repeated_keys.column, where)

    def _check_greatest(self, name: str, where: str) -> None:
        column = self._by_name.get(name)
        if column is None or not column.required or column.type.name in {"json", "boolean"}:
            problem = f"is Greatest({name!r}), which is no required column with values that can be ordered"
            raise DeclarationError(where, "repeated_keys", problem, "Name one that is required=True")

    def _check_rules(self, where: str) -> None:
        for column in self.inputs:
            if column.derived or any(rule.claim(column.name) or rule.lookup(column.name) for rule in column.rules):
                raise DeclarationError(
                    f"column {column.name!r} of {where}", "inputs", "has a rule that needs a table", "Use other rules"
                )
        types = {column.name: column.type for column in (*self.columns, *self.inputs)}
        for rule in self.rules:
            rule.check(types, where)
            self._check_columns_meet(rule, where)
        check_no_twins((info.name for info in self.rule_infos), where, "rules", "give the name {!r} to two rules")

    def _check_columns_meet(self, rule: RecordRule, where: str) -> None:
        """Raise if no row ever has all the columns of a rule: before the transformer, or in the table."""
        of_table = set(rule.columns) <= set(self.names)
        of_delivery = set(rule.columns) <= {column.name for column in self.published}
        if of_table or (of_delivery and not rule.claim and not rule.lookup):
            return
        inputs = ", ".join(sorted(set(rule.columns) - set(self.names)))
        raise DeclarationError(
            f"rule {rule.name!r} of {where}",
            "columns",
            f"include {inputs}, which the table does not have, and columns that only the table has",
            "Compare columns that a record has at the same time",
        )
