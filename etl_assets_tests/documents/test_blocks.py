"""Every block of README and docs is run by a test, or shows something, or is listed here with the reason why it is not.

Python is compiled, imported and checked for its types by `test_examples`; the tutorial and the guides are typed by
`test_typed`. Of the other blocks of commands and of SQL, those that another test runs are listed with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click
import psycopg
import pytest

from etl_assets.cli import main
from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTS: Final = (
    "README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "adr"),
)
SHOWN: Final = {"text", "json", "toml", "xml", "nginx", "yaml", "dockerfile"}
"""Languages of blocks that show something and are not typed: what is printed, files of others, configuration."""
TYPED: Final = {"sh", "bash", "sql"}

RUN_BY: Final = {
    "README.md": {
        "etl-assets run airports --file four-airports.csv": "documents/test_typed.py",
        "mkdir feeds": "cli/test_readme.py",
        "etl-assets migrate ": "cli/test_readme.py",
    },
    "docs/contracts.md": {"etl-assets contract export": "cli/test_contract.py"},
    "docs/explain.md": {"etl-assets explain": "cli/test_explain.py"},
    "docs/first-project.md": {"": "documents/test_first_project.py"},
    "docs/monitoring.md": {"CREATE ROLE etl_metrics LOGIN PASSWORD '…';": "metrics/test_command.py"},
    "docs/operating.md": {
        "CREATE ROLE etl_migrator LOGIN PASSWORD '…';": "operations/team.py",
        "CREATE SCHEMA core AUTHORIZATION etl_loader;": "operations/team.py",
        'eval "$(_ETL_ASSETS_COMPLETE=bash_source': "cli/test_completion.py",
    },
    "docs/operations.md": {"": "operations/test_commands.py"},
    "docs/quarantine.md": {"etl-assets quarantine": "cli/test_documented_commands.py"},
    "docs/receiving.md": {"curl": "receive/test_documents.py", "gzip": "receive/test_documents.py"},
}
"""The test that runs a block, by the document and by how the block begins."""
NOT_RUN: Final = {
    "README.md": {"make demo": "It installs the project; `make wheel` and CI do."},
    "docs/alerts.md": {"export ETL_ASSETS_CHANNEL_DEFAULT=": "It needs accounts of Slack and PagerDuty."},
    "docs/celery.md": {
        "etl-assets worker": "It runs until it is stopped, and needs RabbitMQ; celery/ has tests of the worker.",
        "runs=$(psql": "It starts containers of a stack.",
    },
    "docs/docker.md": {"docker/setup.sh": "It needs a Docker engine; docker/ does the same where there is one."},
    "docs/hostile-servers.md": {
        ".venv/bin/python": "It writes the document; a test compares the document with the run."
    },
    "docs/monitoring.md": {
        "pip install 'etl-assets[metrics]'": "It installs from a registry, and serves until it is stopped.",
        "pip install 'etl-assets[openlineage]'": "It installs from a registry.",
    },
    "docs/own-format.md": {
        "python -m pytest tests/test_access_log.py": "Its file is the reader's; its suite is run here."
    },
    "docs/rebuild.md": {
        "etl-assets rebuild NAME --swap": "NAME stands for a source; rebuild/ has tests of the command."
    },
    "docs/receiving.md": {"etl-assets receive": "It serves until it is stopped; receive/ has tests of it."},
    "docs/reliability.md": {"make chaos": "It takes an hour; `make test` has a short form."},
    "docs/status.md": {"etl-assets status": "FOLDER stands for a folder; cli/test_status.py has tests of the command."},
    "docs/write-modes.md": {
        "etl-assets run branches": "The source is the reader's; cli/test_snapshots.py has its own."
    },
}
"""Why a block is not run, by the document and by how the block begins. Its commands and options exist all the same."""
_BLOCK: Final = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_COMMAND: Final = re.compile(r"(?:^|`|\$ |; |&& )etl-assets ([a-z][^`\n]*)", re.MULTILINE)
_TABLES: Final = (
    "CREATE SCHEMA core",
    "CREATE TABLE core.stations (station_id bigint, _delivery_id bigint, _record_no bigint)",
    "CREATE TABLE core.orders (id bigint, _delivery_id bigint, _record_no bigint)",
    "CREATE TABLE core.branches (code text, city text, _deleted_at timestamptz)",
    "CREATE VIEW core.branches_current AS SELECT * FROM core.branches WHERE _deleted_at IS NULL",
)
"""The tables of sources that the queries of the documents name, with the columns that they name."""


@dataclass(frozen=True)
class Block:
    """A block of a document that is not Python.

    Attributes:
        document: Path of the document.
        line: Line on which it begins.
        language: As the block names it.
        text: Its text, without indentation.
    """

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def is_typed(self) -> bool:
        """Whether `test_typed` types it, or `cli/test_alert_rule_pages.py`."""
        if self.document.startswith("docs/alert-rules/"):
            return True
        return self.language == "sh" and (
            self.document == "docs/tutorial.md" or self.document.startswith("docs/howto/")
        )

    def listed_in(self, lists: dict[str, dict[str, str]]) -> str | None:
        """Return how the block begins in one of the lists above; None if it is not in it."""
        return next((begin for begin in lists.get(self.document, {}) if self.text.startswith(begin)), None)


def blocks() -> Iterator[Block]:
    """Yield every block of the documents except those of Python."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text("utf-8")
        for block in _BLOCK.finditer(text):
            if block[1] != "python":
                yield Block(document, text.count("\n", 0, block.start()) + 1, block[1], re.sub(r"^ +", "", block[2]))


BLOCKS: Final = list(blocks())
QUERIES: Final = [
    block for block in BLOCKS if block.language == "sql" and not block.is_typed and block.listed_in(RUN_BY) is None
]
COMMANDS: Final = sorted(
    {
        (document, command.strip())
        for document in DOCUMENTS
        for command in _COMMAND.findall((ROOT / document).read_text("utf-8"))
    }
)


def test_every_block_names_its_language() -> None:
    assert [str(block) for block in BLOCKS if block.language not in SHOWN | TYPED] == []


def test_every_block_is_run_or_listed_with_a_reason() -> None:
    unlisted = [
        str(block)
        for block in BLOCKS
        if block.language in TYPED
        and block not in QUERIES
        and not block.is_typed
        and block.listed_in(RUN_BY) is None
        and block.listed_in(NOT_RUN) is None
    ]
    assert unlisted == []


def test_the_lists_name_blocks_and_tests_that_there_are() -> None:
    for lists in (RUN_BY, NOT_RUN):
        named = {(document, begin) for document, begins in lists.items() for begin in begins}
        assert named == {(block.document, begin) for block in BLOCKS if (begin := block.listed_in(lists)) is not None}
    tests = {test for begins in RUN_BY.values() for test in begins.values()}
    assert [test for test in tests if not (ROOT / "etl_assets_tests" / test).exists()] == []


@pytest.mark.parametrize("block", QUERIES, ids=str)
def test_a_query_of_the_documents_is_answered(block: Block, migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(block.text.replace("…", "secret").encode())
        connection.rollback()


@pytest.mark.parametrize(("document", "written"), COMMANDS)
def test_a_command_exists_and_has_the_options_that_are_written(document: str, written: str) -> None:
    """The command is found by its words; every option is one of it. Values are not looked at."""
    command: click.Command = main
    context = click.Context(main, info_name="etl-assets")
    for word in re.split(r"\s+", written.replace("\\|", "|")):
        names = [name.strip("[](),.:;") for name in word.split("|")]
        if not isinstance(command, click.Group) or not names[0] or names[0].startswith(("-", "#")):
            break
        below = {name: command.get_command(context, name) for name in names}
        assert None not in below.values(), f"{document}: {below}"
        command = below[names[0]] or main
        context = click.Context(command, context, names[0])
    if command.name == "psql":
        return
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help"
    }
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(re.sub(r'"[^"]*"', "", written).split())))
    assert used <= known, f"{document}: {written}"
