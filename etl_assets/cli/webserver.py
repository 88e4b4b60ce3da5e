"""Serves the Dagster UI behind the guard, with the code server and the daemon that it needs; for ``etl-assets dev``.

``etl-assets dev`` runs this module as a process, which does the same as ``dagster dev`` except for the guard: Dagster's
own command starts its webserver without one. If the webserver or the daemon ends, everything ends.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import uvicorn
import yaml
from dagster import DagsterInstance, __version__
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget
from dagster._utils.log import configure_loggers
from dagster_webserver.app import create_app_from_workspace_process_context

from etl_assets.cli.guard import Guard
from etl_assets.cli.run_origin import CODE_LOCATION
from etl_assets.cli.served_pages import ServedPages
from etl_assets.logs import are_json
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODE_SERVER_LOG: Final = "warning"
_CLOSE_SECONDS: Final = 5
_END_SECONDS: Final = 20.0
_POLL_MILLISECONDS: Final = 2000
_STATEMENT_MILLISECONDS: Final = 15_000
_RECYCLE_SECONDS: Final = 3600
_MORE_CONNECTIONS: Final = 20


@click.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
@click.option("--log-level", required=True)
@click.option("--folder", required=True, help="Folder from which the code server imports in place of the current one.")
def main(host: str, port: int, log_level: str, folder: str) -> None:
    """Serve the UI until SIGINT, or until the daemon ends; then exit with 1."""
    configure_loggers(log_level=log_level.upper())
    settings = Settings.from_environment()
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        instance = stack.enter_context(DagsterInstance.get())
        instance.optimize_for_webserver(_STATEMENT_MILLISECONDS, _RECYCLE_SECONDS, _MORE_CONNECTIONS)
        code = ModuleTarget(CODE_LOCATION, attribute=None, working_directory=folder, location_name=CODE_LOCATION)
        servers = stack.enter_context(ProxyServerManager(instance, code, _CODE_SERVER_LOG))
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory()), "workspace.yaml")
        workspace.write_text(yaml.dump({"load_from": servers.get_code_server_specs()}))
        daemon = stack.enter_context(_daemon(workspace, log_level))
        context = stack.enter_context(
            WorkspaceProcessContext(
                instance, WorkspaceFileTarget([str(workspace)]), __version__, code_server_log_level=_CODE_SERVER_LOG
            )
        )
        app = create_app_from_workspace_process_context(context, "", _POLL_MILLISECONDS)
        guarded = Guard(ServedPages(app, settings.home, f"http://{host}:{port}"), settings.ui_hosts)
        config = uvicorn.Config(
            guarded, host=host, port=port, log_level="warning", lifespan="off", timeout_graceful_shutdown=_CLOSE_SECONDS
        )
        server = uvicorn.Server(config)
        threading.Thread(target=_end_with, args=(daemon, server), daemon=True).start()
        server.run()  # raises KeyboardInterrupt after a SIGINT
        raise click.ClickException("Dagster's daemon has ended.")


@contextlib.contextmanager
def _daemon(workspace: Path, log_level: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Dagster's daemon for the length of a block."""
    arguments = ["dagster._daemon", "run", "--workspace", str(workspace), "--log-level", log_level]
    arguments += ["--code-server-log-level", _CODE_SERVER_LOG, "--log-format", "json" if are_json() else "colored"]
    process = subprocess.Popen([sys.executable, "-m", *arguments])  # noqa: S603 -- composed above
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _end_with(daemon: subprocess.Popen[bytes], server: uvicorn.Server) -> None:
    """Let the webserver end when the daemon has ended."""
    daemon.wait()
    server.should_exit = True


if __name__ == "__main__":
    main()
