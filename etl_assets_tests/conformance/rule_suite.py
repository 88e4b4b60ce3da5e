"""The contract of every kind of rule of a column, as a suite to subclass.

Subclass `RuleSuite` in a test module, name the subclass ``Test…`` and set the attributes. `schema/test_kinds.py` fails
for a kind without such a class.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final

import psycopg
import pytest
from psycopg import sql

from etl_assets.alerts.rules import reasons_of_checks
from etl_assets.audit.auditor import open_auditor
from etl_assets.audit.suite import compile_suite
from etl_assets.errors import DeclarationError
from etl_assets.graph.assets.checks import core_specs
from etl_assets.model.alert import DEFAULT_ALERTS
from etl_assets.model.check_result import CheckResult
from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.schema import Column, Schema
from etl_assets.schema.rules import KINDS, NotAudited
from etl_assets_tests.generated import keywords, rules_table
from etl_assets_tests.ingest.world import World
from etl_assets_tests.validate.oracle import value

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.schema.rules import ColumnRule

KEY: Final = Column("n", "integer", required=True)
_NUMBER: Final = count(1)


class RuleSuite:
    """Derive from this, and set the attributes.

    Attributes:
        rule: The kind of rule.
        column: A column ``x`` that has a rule of this kind.
        kept: Published cells that keep the rule; None for no cell.
        broken: Published cells that break the rule, and no other rule of the column.
        wrong: Arguments of a column ``x`` whose declaration is refused.
        not_audited: The reason why the audit leaves the rule out; empty if the audit checks it.
        parents: Values of ``core.rule_parents.code``, which the column may refer to.
    """

    rule: ClassVar[type[ColumnRule]]
    column: Column
    kept: tuple[str | None, ...]
    broken: tuple[str | None, ...]
    wrong: tuple[dict[str, Any], ...] = ()
    not_audited: str = ""
    parents: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"x__{self.rule.kind}"

    @property
    def schema(self) -> Schema:
        return Schema((KEY, self.column), key=("n",))

    @property
    def cells(self) -> tuple[str | None, ...]:
        return (*self.kept, *self.broken)

    def test_the_kind_is_found_by_its_name_and_documented(self) -> None:
        assert KINDS[self.rule.kind] is self.rule
        if self.rule.keyword:
            assert f"| `{self.rule.kind}` | " in rules_table()
            assert f"    {self.rule.kind}: {self.rule.keyword}" in keywords()

    def test_the_rule_is_described_in_words_and_checked_in_dagster(self, tmp_path: Path) -> None:
        (info,) = (info for info in self.schema.rule_infos if info.name == self.name)
        assert info.words.startswith("x ")
        assert info.columns == ("x",)
        source = World("", tmp_path, self.schema).source
        checks = {check.name: check.description or "" for check in core_specs(source, None)}
        assert self.name not in checks
        assert info.words in checks["values__x"]

    def test_a_failed_check_is_an_alert_unless_the_rule_is_broken_by_consent(self) -> None:
        (info,) = (info for info in self.schema.rule_infos if info.name == self.name)
        failed = CheckResult(self.name, passed=False, by_consent=info.by_consent)
        alerts = reasons_of_checks(DEFAULT_ALERTS, [failed], None)
        assert len(alerts) == int(not self.rule.by_consent)

    def test_the_column_can_be_recreated_from_its_repr(self) -> None:
        self.schema.check("the suite")
        assert eval(repr(self.column), vars(__import__("etl_assets.schema", fromlist=["*"]))) == self.column  # noqa: S307

    def test_a_wrong_declaration_is_refused(self) -> None:
        assert self.wrong or not self.rule.keyword or self.rule.keyword == "bool"
        for arguments in self.wrong:
            with pytest.raises(DeclarationError, match=r"^column 'x'"):
                Schema((KEY, Column("x", **arguments)), key=("n",)).check("the suite")

    def test_records_that_break_the_rule_wait_and_the_others_are_loaded(
        self, warehouse_url: str, tmp_path: Path
    ) -> None:
        world = self.world(warehouse_url, tmp_path)
        assert self.kept
        assert self.broken
        lines = [f"{number},{'' if cell is None else cell}" for number, cell in enumerate(self.cells, start=1)]
        report = world.take(*lines, header="n,x")
        waiting = {record.record_no: record.rules for record in world.waiting()}
        numbers = range(len(self.kept) + 1, len(self.cells) + 1)
        assert waiting == {number: [self.name] for number in numbers}
        assert report.rules == {self.name: len(self.broken)}
        assert [row[0] for row in world.rows()] == list(range(1, len(self.kept) + 1))

    def test_the_audit_finds_stored_rows_that_break_the_rule(self, warehouse_url: str, tmp_path: Path) -> None:
        world = self.world(warehouse_url, tmp_path)
        suite = compile_suite(self.schema)
        if self.not_audited:
            assert suite.left_out.keys() == {self.name, KEY_UNIQUE}
            assert suite.left_out[self.name] == self.not_audited
            return
        assert not any(isinstance(reason, NotAudited) for reason in suite.left_out.values())
        table = f"public.{world.name}"
        self.store_unvalidated(warehouse_url, table)
        (expectation,) = (item for item in suite.expectations if item.name == self.name)
        with open_auditor(warehouse_url, self.schema, table) as audit:
            (result,) = audit.evaluate([expectation])
        self.check_audit({row["n"] for row in result.keys}, passed=result.passed)

    def check_audit(self, keys: set[int], *, passed: bool) -> None:
        """Check that the audit finds exactly the broken rows among those stored without validation."""
        assert not passed
        assert keys == set(range(len(self.kept) + 1, len(self.cells) + 1))

    def world(self, url: str, folder: Path) -> World:
        """Return a source with the rule; load the parents that it may refer to."""
        if self.parents:
            parents = World(
                url, folder, Schema((Column("code", "text", required=True),), key=("code",)), "rule_parents"
            )
            parents.take(*self.parents, header="code")
        return World(url, folder, self.schema, f"rules_{next(_NUMBER)}")

    def store_unvalidated(self, url: str, table: str) -> None:
        """Store the cells in a table without any rule, typed by the oracle."""
        rows = [(number, value(self.column, cell)) for number, cell in enumerate(self.cells, start=1)]
        name = sql.Identifier(*table.split("."))
        type_ = sql.SQL(self.column.type.postgres)
        with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
            cursor.execute(sql.SQL("CREATE TABLE {} (n bigint, x {})").format(name, type_))
            cursor.executemany(sql.SQL("INSERT INTO {} VALUES (%s, %s)").format(name), rows)
