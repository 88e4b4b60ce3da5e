"""A stack of ``docker/compose.yaml`` for tests: started from a copy of the folder, and reached through its proxy."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).parents[2]
IMAGE: Final = "etl-assets:test"
_LAUNCH: Final = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on PipelineNotFoundError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_RUNS: Final = """
query Runs($id: String!) {
  runsOrError(filter: {runIds: [$id]}) { ... on Runs { results { status tags { key value } } } }
}
"""
_RETRIES: Final = """
query Retries($id: String!) {
  runsOrError(filter: {tags: [{key: "dagster/parent_run_id", value: $id}]}) { ... on Runs { results { runId status } } }
}
"""
_TERMINATE: Final = """
mutation Terminate($id: String!) {
  terminateRun(runId: $id) { __typename ... on TerminateRunFailure { message } ... on PythonError { message } }
}
"""
_LOCATIONS: Final = """
{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }
"""


def run(*command: str, cwd: Path = ROOT, check: bool = True, stdin: str | None = None) -> str:
    """Return what a command prints, standard error after standard output; fail with both if it fails."""
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, input=stdin)
    assert not check or result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return result.stdout + result.stderr


@dataclass
class Stack:
    """A stack that runs.

    Attributes:
        folder: A copy of ``docker/``, in which it was set up.
        project: Name of the compose project.
        port: Of the proxy, on loopback.
        password: Of user ``admin``.
    """

    folder: Path
    project: str
    port: int
    password: str = ""

    def set_up(self, settings: Mapping[str, str]) -> None:
        """Copy the folder and run ``setup.sh``, as a user does; change some settings."""
        shutil.copytree(ROOT / "docker", self.folder, ignore=shutil.ignore_patterns("secrets", ".env", "team"))
        printed = run("./setup.sh", cwd=self.folder)
        self.password = re.findall(r"User admin, password (\w+)", printed)[0]
        settings = {
            "COMPOSE_PROJECT_NAME": self.project,
            "PROXY_ADDRESS": f"127.0.0.1:{self.port}",
            "ETL_ASSETS_UI_URL": f"http://127.0.0.1:{self.port}",
            "ETL_ASSETS_IMAGE": IMAGE,
            "POSTGRES_SHARED_BUFFERS": "128MB",
            **settings,
        }
        self.change(settings)

    def change(self, settings: Mapping[str, str]) -> None:
        """Change settings in ``.env``; they hold from the next ``compose up`` on."""
        file = self.folder / ".env"
        lines = [line for line in file.read_text().splitlines() if line.partition("=")[0] not in settings]
        file.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in settings.items())]) + "\n")

    def write_secret(self, name: str, text: str) -> None:
        """Write a secret of the code locations."""
        file = self.folder / "secrets" / "code" / name
        file.write_text(text)
        file.chmod(0o644)

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run a command of compose."""
        has_plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        program = ["docker", "compose"] if has_plugin else ["docker-compose"]
        return run(*program, *arguments, cwd=self.folder, check=check)

    def containers(self) -> list[dict[str, Any]]:
        """Return what the engine knows of the containers of the services and of runs."""
        services = run("docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
        inspected: list[dict[str, Any]] = json.loads(run("docker", "inspect", *services, *self.runs()))
        return inspected

    def runs(self) -> list[str]:
        """Return the ids of the containers of runs."""
        network = f"network={self.project}_runs"
        return run("docker", "ps", "-aq", "--no-trunc", "--filter", "label=dagster/run_id", "--filter", network).split()

    def container_of(self, service: str) -> str:
        """Return the id of the container of a service."""
        return self.compose("ps", "-q", service).split()[0]

    def wait_healthy(self, seconds: float = 450) -> None:
        """Wait until every service with a health check is healthy."""

        def unhealthy() -> list[str]:
            return [
                each["Name"]
                for each in self.containers()
                if "Health" in each["State"] and each["State"]["Health"]["Status"] != "healthy"
            ]

        wait_for(lambda: not unhealthy(), seconds, lambda: f"{unhealthy()}\n{self.compose('logs', '--tail', '20')}")

    def get(self, path: str, *, login: bool = True, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Return the status and the body of a page; 0 and the problem if nothing answers."""
        return self._request(path, None, login=login, headers=headers or {})

    def post(self, path: str, body: str, headers: Mapping[str, str], *, login: bool = True) -> tuple[int, str]:
        """Return the status and the body of the answer to what is posted."""
        return self._request(path, body.encode(), login=login, headers=headers)

    def _request(self, path: str, body: bytes | None, *, login: bool, headers: Mapping[str, str]) -> tuple[int, str]:
        authorization = base64.b64encode(f"admin:{self.password}".encode()).decode()
        given = {"Authorization": f"Basic {authorization}", **headers} if login else dict(headers)
        request = Request(f"http://127.0.0.1:{self.port}{path}", body, given)
        try:
            with urlopen(request, timeout=200) as answer:  # noqa: S310 -- of the proxy on loopback
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def ask(self, question: str, path: str = "/graphql", **variables: Any) -> Any:
        """Return the data of the answer to a GraphQL question, which goes through the proxy."""
        body = json.dumps({"query": question, "variables": variables})
        status, answer = self.post(path, body, {"Content-Type": "application/json"})
        assert status == 200, (status, answer)
        found = json.loads(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def locations(self) -> dict[str, bool]:
        """Return whether each code location is loaded."""
        entries = self.ask(_LOCATIONS)["workspaceOrError"]["locationEntries"]
        return {
            entry["name"]: (entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"
            for entry in entries
        }

    def launch(self, location: str, assets: Sequence[str], partition: str | None = None, path: str = "/graphql") -> str:
        """Launch a run of assets by their keys, as ``core/flights``; return the id of the run."""
        params = {
            "selector": {
                "repositoryLocationName": location,
                "repositoryName": "__repository__",
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": key.split("/")} for key in assets],
            },
            "runConfigData": {},
            "mode": "default",
            "executionMetadata": {
                "tags": [] if partition is None else [{"key": "dagster/partition", "value": partition}]
            },
        }
        launched = self.ask(_LAUNCH, path, params=params)["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id: str = launched["run"]["runId"]
        return run_id

    def status(self, run_id: str) -> str:
        """Return the status of a run; ask again for a minute if the webserver cannot say it."""
        until = time.monotonic() + 60
        while True:
            try:
                status: str = self.ask(_RUNS, id=run_id)["runsOrError"]["results"][0]["status"]
            except (AssertionError, OSError):
                if time.monotonic() > until:
                    raise
                time.sleep(1)
            else:
                return status

    def end_of(self, run_id: str, seconds: float = 400) -> str:
        """Wait until a run has ended; return its status."""
        wait_for(lambda: self.status(run_id) in {"SUCCESS", "FAILURE", "CANCELED"}, seconds, lambda: self.log(run_id))
        return self.status(run_id)

    def retry_of(self, run_id: str, seconds: float = 400) -> str:
        """Wait for the run that tries another one again; return its id."""

        def retries() -> list[str]:
            return [each["runId"] for each in self.ask(_RETRIES, id=run_id)["runsOrError"]["results"]]

        wait_for(lambda: bool(retries()), seconds, lambda: self.log(run_id))
        return retries()[0]

    def log(self, run_id: str) -> str:
        """Return the status of a run, and the log of its container and of the daemon."""
        container = self.container_of_run(run_id)
        printed = run("docker", "logs", "--tail", "40", container, check=False) if container else "no container"
        return f"{self.status(run_id)}\n{printed}\n{self.compose('logs', '--tail', '20', 'daemon')}"

    def container_of_run(self, run_id: str) -> str | None:
        """Return the id of the container of a run; None if there is none."""
        found = run("docker", "ps", "-aq", "--no-trunc", "--filter", f"label=dagster/run_id={run_id}").split()
        return found[0] if found else None

    def terminate(self, run_id: str) -> str:
        """Terminate a run, as the button of the UI does; return the kind of the answer."""
        kind: str = self.ask(_TERMINATE, id=run_id)["terminateRun"]["__typename"]
        return kind

    def sql(self, statement: str, role: str = "postgres", *, database: str = "warehouse", check: bool = True) -> str:
        """Return what psql prints of a statement that a role executes over the network, without headers."""
        return run(*self._psql(role, database), check=check, stdin=statement).strip()

    @contextmanager
    def hold_load(self, table: str) -> Iterator[None]:
        """Lock a table, so that the run that loads it waits in the middle of its work, until the block has ended."""
        command = self._psql("postgres", "warehouse")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
            assert psql.stdin is not None
            assert psql.stdout is not None
            psql.stdin.write(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
            psql.stdin.flush()
            while psql.stdout.readline() != "locked\n":
                assert psql.poll() is None, "psql has ended"
            yield

    def wait_until_held(self, run_id: str) -> str:
        """Wait until a run is stopped by the lock of `hold_load`; return the id of its container."""
        waiting = (
            "SELECT client_addr FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'relation' AND NOT granted"
        )

        def is_held() -> bool:
            container = self.container_of_run(run_id)
            return container is not None and bool(_addresses_of(container) & set(self.sql(waiting).split()))

        wait_for(is_held, 120, lambda: self.log(run_id))
        container = self.container_of_run(run_id)
        assert container is not None
        return container

    def _psql(self, role: str, database: str) -> list[str]:
        """Return the command that executes statements of its standard input as a role, over the network."""
        folder = "code/" if role in {"etl_loader", "etl_dagster"} else ""
        password = (self.folder / "secrets" / f"{folder}{role.removeprefix('etl_')}_password").read_text().strip()
        url = f"postgresql://{role}:{password}@127.0.0.1/{database}"
        return ["docker", "exec", "-i", self.container_of("postgres"), "psql", "-XAtv", "ON_ERROR_STOP=1", url]

    def secrets(self) -> dict[str, str]:
        """Return the content of every file with a secret, by its name."""
        files = [path for path in (self.folder / "secrets").rglob("*") if path.is_file()]
        return {path.name: path.read_text().strip() for path in files if path.stat().st_size}

    def remove(self) -> None:
        """Remove the containers, networks and volumes."""
        if runs := self.runs():
            run("docker", "rm", "-f", *runs, check=False)
        self.compose("down", "-v", "--remove-orphans", "-t", "5", check=False)


def wait_for(condition: Callable[[], bool], seconds: float, state: Callable[[], object]) -> None:
    """Wait until a condition holds; fail with a description of the state if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not after {seconds} seconds: {state()}"
        time.sleep(1)


def _addresses_of(container: str) -> set[str]:
    """Return the addresses of a container in its networks."""
    networks: dict[str, Any] = json.loads(run("docker", "inspect", container))[0]["NetworkSettings"]["Networks"]
    return {network["IPAddress"] for network in networks.values()}


def addresses() -> list[str]:
    """Return the addresses of this machine that others may reach."""
    return [address for address in run("hostname", "-I", check=False).split() if "." in address]
