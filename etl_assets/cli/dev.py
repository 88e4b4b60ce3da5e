"""``etl-assets dev``: runs the Dagster UI over the local data, and everything the UI needs.

Whatever ends this process also ends Dagster's processes, and then the database server.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

import click

from etl_assets.cli import FAILED
from etl_assets.cli.environment import environment
from etl_assets.cli.migrate import migrate_databases
from etl_assets.cli.terminal import console
from etl_assets.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PR_SET_PDEATHSIG: Final = 1
_HOST: Final = "127.0.0.1"
_POLL_SECONDS: Final = 0.5
_END_SECONDS: Final = 30.0


@click.command(name="dev")
@click.option("--port", default=3000, show_default=True, help="Port of the UI on 127.0.0.1.")
@click.pass_context
def command(ctx: click.Context, port: int) -> None:
    """Run the Dagster UI and the daemon that runs schedules and sensors. Ctrl-C ends both."""
    _require_free(port)
    with environment(creates=True) as env:
        for storage, _, after in migrate_databases(env):
            console(err=True).print(f"{storage} is at revision {after}.")
        folder, address = env.settings.home / "dagster", f"http://{_HOST}:{port}"
        arguments = ["--host", _HOST, "--port", str(port), "--folder", str(folder)]
        arguments += ["--log-level", "info" if ctx.obj["verbose"] else "warning"]
        command = [sys.executable, "-P", "-m", "etl_assets.cli.webserver", *arguments]
        os.environ.setdefault("ETL_ASSETS_STATUS_URL", f"{address}/status")  # which the webserver serves
        with _ending_on_signals() as ended, _running(command, _child_environment(folder, address)) as dagster:
            _wait(dagster, address, ended)
            failed = not ended and dagster.returncode != 0
    if failed:
        click.echo("Dagster ended unexpectedly; see its last messages above. The data are safe.", err=True)
        ctx.exit(FAILED)


def _child_environment(folder: Path, address: str) -> dict[str, str]:
    """Return the environment of Dagster's processes, in which none imports what the current folder happens to contain.

    Args:
        folder: A folder without modules. While Dagster loads code, it leaves the first folder of the path out, because
            that is usually the script's; this one takes its place, so that those in ``PYTHONPATH`` stay.
        address: Of the UI, to which pages and alerts link unless a setting says another.
    """
    path = [str(folder), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "ETL_ASSETS_UI_URL": address,
        **os.environ,
        "DAGSTER_IS_DEV_CLI": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(path),
    }


def _require_free(port: int) -> None:
    """Raise if the port is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise SettingsError(
                f"Port {port} of {_HOST} cannot be used ({error.strerror}). Nothing was started. Choose another "
                "with --port, or stop the program that uses it."
            ) from error


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list, even if this process was started with them ignored."""
    received: list[int] = []
    former = {
        number: signal.signal(number, lambda got, _: received.append(got)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _running(arguments: list[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in its own process group; end every process of the group at the end of the block."""
    process = subprocess.Popen(  # noqa: S603 -- composed above
        arguments,
        env=environ,
        start_new_session=True,
        preexec_fn=_end_with_this_process(),  # noqa: PLW1509 -- this process has no threads yet
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            time.sleep(_POLL_SECONDS)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end_with_this_process() -> Callable[[], None] | None:
    """Return a function that a child calls so that the kernel ends it when this process is killed; None off Linux."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _wait(dagster: subprocess.Popen[bytes], address: str, ended: list[int]) -> None:
    """Print the address once the UI answers; return when Dagster ends or a signal arrives."""
    announced = False
    while not ended and dagster.poll() is None:
        if not announced and _answers(address):
            console().print(f"Dagster is at {address} (Ctrl-C ends it).")
            announced = True
        time.sleep(_POLL_SECONDS)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=2.0) as answer:  # noqa: S310 -- http, loopback
            return bool(answer.status == 200)  # noqa: PLR2004 -- OK
    except (urllib.error.URLError, OSError):
        return False
