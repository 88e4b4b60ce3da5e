"""The folders of a home, as a command finds and leaves them."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

from etl_assets.cli.environment import environment

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.cli.desk import Desk


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_other_accounts_can_read_neither_new_nor_older_folders_of_a_home(desk: Desk) -> None:
    home = desk.folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    former = os.umask(0)
    try:
        with environment() as env:
            assert env.settings.home == home
        assert _mode(home) & 0o066 == 0
        for name in ("data_docs", "landing"):
            (home / name).mkdir(mode=0o777)
        for folder in (home, home / "dagster"):
            folder.chmod(0o755)
        with environment():
            pass
    finally:
        os.umask(former)
    assert {_mode(home / name) for name in ("dagster", "data_docs", "landing")} == {0o700}
    assert _mode(home) == 0o755, "a home may be a folder that has other things"
