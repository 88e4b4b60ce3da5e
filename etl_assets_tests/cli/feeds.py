"""Sources of many small files, and commands that are processes of their own: only such a process can fork others."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.cli.desk import Desk

_FEED: Final = '''
import os, signal, time
from dataclasses import dataclass
from pathlib import Path

from etl_assets import Column, Csv, FileExtractor, Files, Schema, Source, Transformer

@dataclass(frozen=True)
class Waiting(Transformer):
    """Notes that it was called, and waits as long as a file says that it should."""

    def transform(self, frame):
        Path({folder!r}, "called").touch()
        if (mark := Path({folder!r}, f"kill-{{frame['note'].iloc[0]}}")).exists():
            mark.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        while Path({folder!r}, "wait").exists():
            time.sleep(0.02)
        return frame

SOURCE = Source(
    name={name!r},
    description="Files now and then.",
    owner="team:tests",
    extractor=FileExtractor(location={folder!r} + "/{name}/*.csv", format=Csv(), settle_seconds=0.0),
    schema=Schema((Column("id", "integer", required=True{references}), Column("note", "text", required=True)), ("id",)),
    transformer=Waiting(),
    partitions=Files(per_run={per_run}),
    runs_at_once={runs_at_once},
    max_rejected=0.5,
)
'''
COMMAND: Final = (sys.executable, "-P", "-c", "from etl_assets.cli import main; main()")


@dataclass(frozen=True)
class Feed:
    """A source of files with an id and a note in each record.

    Attributes:
        name: Of the source.
        per_run: The most files that one run takes.
        runs_at_once: Its limit of runs.
        refers_to: The name of a source to whose ids its ids refer.
    """

    name: str
    per_run: int = 2
    runs_at_once: int = 2
    refers_to: str = ""

    def declare(self, desk: Desk) -> None:
        references = f', references="core.{self.refers_to}.id"' if self.refers_to else ""
        text = _FEED.format(folder=str(desk.folder / "feeds"), references=references, **vars(self))
        (desk.folder / "declared" / f"{self.name}.py").write_text(text)

    def publish(self, desk: Desk, files: int) -> None:
        """Publish files of two records each; the note of the first one is the number of the file."""
        for number in range(files):
            desk.publish(f"{self.name}/{number}.csv", f"id,note\n{2 * number},{number}\n{2 * number + 1},b\n")


def mark(desk: Desk, name: str) -> Path:
    """Return a file of the folder of feeds, which says something to the transformer or to the test."""
    return desk.folder / "feeds" / name


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start a command."""
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def lines_of(*arguments: str, exit_code: int = 0) -> list[dict[str, Any]]:
    """Execute a command, and return its lines of JSON."""
    with start(*arguments, "--json") as command:
        output, errors = command.communicate(timeout=120)
    assert command.returncode == exit_code, errors
    return [json.loads(line) for line in output.splitlines()]
