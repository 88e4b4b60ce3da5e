"""The stack of ``docker/compose.yaml``, used as a team uses it. The tests share one stack and are in their order."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from etl_assets_tests.docker.stack import IMAGE, addresses, run, wait_for
from etl_assets_tests.ports import is_listening

if TYPE_CHECKING:
    from etl_assets_tests.docker.stack import Stack

pytestmark = [pytest.mark.docker, pytest.mark.slow]
FLIGHTS = ("landing/flights", "core/flights", "quarantine/flights")
SHOPS = ("landing/shops", "core/shops", "quarantine/shops")
AIRLINES = ("landing/airlines", "core/airlines", "quarantine/airlines")
JSON = {"Content-Type": "application/json"}
QUERY = json.dumps({"query": "{ version }"})


def _rows_of_month(stack: Stack, month: int) -> int:
    """Return the number of flights of a month in the table."""
    return int(stack.sql(f"SELECT count(*) FROM core.flights WHERE month = {month}"))


def _is_whole(stack: Stack, partition: str) -> bool:
    """Return whether the counts of a complete delivery of flights add up to its rows."""
    month = int(partition[5:7])
    written = stack.sql(
        "SELECT d.status, sum(b.inserted) FROM etl.delivery d JOIN etl.batch b ON b.delivery_id = d.id "
        f"WHERE d.source = 'flights' AND d.partition = '{partition}' GROUP BY d.id, d.status"
    )
    return written == f"complete|{_rows_of_month(stack, month)}"


# the way in


def test_nothing_is_shown_without_the_password(stack: Stack) -> None:
    for path in ("/", "/view", "/data_docs/", "/status/", "/server_info"):
        assert stack.get(path, login=False)[0] == 401, path
    for path in ("/graphql", "/view/graphql"):
        assert stack.post(path, QUERY, JSON, login=False)[0] == 401, path


def test_the_password_lets_in(stack: Stack) -> None:
    status, page = stack.get("/")
    assert status == 200
    assert "Dagster" in page
    assert stack.locations() == {"bundled": True, "team": True, "operations": True}


def test_another_host_is_refused(stack: Stack) -> None:
    assert stack.get("/", headers={"Host": "rebound.example.org"})[0] == 421


@pytest.mark.parametrize("path", ["/graphql", "/view/graphql"])
def test_a_page_of_another_site_is_refused(stack: Stack, path: str) -> None:
    assert stack.post(path, QUERY, {**JSON, "Origin": "https://example.org"})[0] == 403
    assert stack.post(path, QUERY, {**JSON, "Origin": f"http://127.0.0.1:{stack.port}"})[0] == 200


@pytest.mark.parametrize("path", ["/graphql", "/view/graphql"])
def test_graphql_is_taken_as_json_only(stack: Stack, path: str) -> None:
    assert stack.get(f"{path}?query=mutation")[0] == 405
    assert stack.post(path, "query={version}", {"Content-Type": "application/x-www-form-urlencoded"})[0] == 405


def test_those_who_only_look_cannot_launch(stack: Stack) -> None:
    with pytest.raises(AssertionError, match="Unauthorized"):
        stack.launch("bundled", AIRLINES, path="/view/graphql")


def test_only_the_proxy_is_published_and_only_on_loopback(stack: Stack) -> None:
    published = {
        (each["Config"]["Labels"].get("com.docker.compose.service"), binding["HostIp"], int(binding["HostPort"]))
        for each in stack.containers()
        for bindings in (each["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings
    }
    assert published == {("proxy", "127.0.0.1", stack.port)}
    assert is_listening(stack.port)
    assert not [address for address in addresses() if is_listening(stack.port, address)]


# runs


def test_a_run_has_a_container_of_its_own_and_loads(stack: Stack) -> None:
    parent = stack.launch("bundled", AIRLINES)
    assert stack.end_of(parent) == "SUCCESS", stack.log(parent)
    run_id = stack.launch("bundled", FLIGHTS, "2013-01-01")
    assert stack.end_of(run_id) == "SUCCESS", stack.log(run_id)
    assert _is_whole(stack, "2013-01-01")
    assert _rows_of_month(stack, 1) > 26_000
    assert stack.container_of_run(parent) not in {None, stack.container_of_run(run_id)}


def test_a_source_of_the_second_location_loads(stack: Stack) -> None:
    run_id = stack.launch("team", SHOPS)
    assert stack.end_of(run_id) == "SUCCESS", stack.log(run_id)
    assert stack.sql("SELECT shop_id, name FROM core.shops ORDER BY 1") == "1|Aldergate\n2|Brook"
    container = stack.container_of_run(run_id)
    assert container is not None
    assert json.loads(run("docker", "inspect", container))[0]["HostConfig"]["Memory"] == 768 * 2**20  # as it declares


def test_a_run_whose_container_is_killed_is_tried_again(stack: Stack) -> None:
    with stack.hold_load("core.flights"):
        run_id = stack.launch("bundled", FLIGHTS, "2013-02-01")
        run("docker", "kill", stack.wait_until_held(run_id))
    assert stack.end_of(run_id) == "FAILURE"
    retry = stack.retry_of(run_id)
    assert stack.end_of(retry) == "SUCCESS", stack.log(retry)
    assert _is_whole(stack, "2013-02-01")


def test_a_hanging_run_can_be_terminated(stack: Stack) -> None:
    run_id = stack.launch("team", ["hanging"])
    wait_for(lambda: stack.status(run_id) == "STARTED", 120, lambda: stack.log(run_id))
    assert stack.terminate(run_id) == "TerminateRunSuccess"
    assert stack.end_of(run_id) == "CANCELED"
    container = stack.container_of_run(run_id)
    assert container is not None
    state = json.loads(run("docker", "inspect", container))[0]["State"]
    assert not state["Running"]


def test_a_location_that_is_lost_is_reported_and_leaves_the_others_alone(stack: Stack) -> None:
    stack.compose("stop", "code-team")
    run_id = stack.launch("bundled", FLIGHTS, "2013-03-01")
    assert stack.end_of(run_id) == "SUCCESS", stack.log(run_id)
    assert _is_whole(stack, "2013-03-01")
    receiver = f"{stack.project}_receiver"
    wait_for(
        lambda: "Code location 'team' is lost" in run("docker", "logs", receiver),
        180,
        lambda: stack.compose("logs", "--tail", "40", "daemon", "operations"),
    )
    stack.compose("start", "code-team")
    wait_for(lambda: stack.locations()["team"], 120, lambda: stack.compose("logs", "--tail", "20", "code-team"))


def test_a_restart_of_the_database_under_load_loses_nothing(stack: Stack) -> None:
    with stack.hold_load("core.flights"):
        run_id = stack.launch("bundled", FLIGHTS, "2013-04-01")
        stack.wait_until_held(run_id)
        stack.compose("restart", "-t", "20", "postgres")
    stack.wait_healthy()
    if stack.end_of(run_id) != "SUCCESS":
        retry = stack.retry_of(run_id)
        assert stack.end_of(retry) == "SUCCESS", stack.log(retry)
    assert _is_whole(stack, "2013-04-01")


def test_a_stop_and_a_start_of_the_stack_lose_nothing(stack: Stack) -> None:
    before = stack.sql("SELECT count(*) FROM core.flights")
    stack.compose("stop", "-t", "30")
    stack.compose("up", "-d", "--no-build")
    stack.wait_healthy()
    assert stack.sql("SELECT count(*) FROM core.flights") == before
    assert stack.locations() == {"bundled": True, "team": True, "operations": True}
    stack.compose("exec", "-T", "code-bundled", "etl-assets", "doctor")  # fails if there is a violation


def test_the_reviewer_lists_and_decides(stack: Stack) -> None:
    assert "flights" in stack.compose("run", "--rm", "-T", "review", "list")
    id_ = stack.sql("SELECT min(id) FROM etl.rejected WHERE source = 'flights'")
    stack.compose("run", "--rm", "-T", "review", "dismiss", id_, "--note", "a test")
    assert stack.sql(f"SELECT status, reviewer FROM etl.rejected WHERE id = {id_}").startswith("dismissed|")


def test_the_maintainer_redacts_a_record_and_compares_a_rebuilt_table(stack: Stack) -> None:
    wanted = ("shops", "shop_id=2", "--reason", "a test", "--yes")
    shown = stack.compose("run", "--rm", "-T", "maintain", "redact", *wanted)
    assert "1 delivery reloaded, 1 file of frozen bytes removed" in " ".join(shown.split())
    assert stack.sql("SELECT shop_id FROM core.shops") == "1"
    compared = stack.compose("run", "--rm", "-T", "maintain", "rebuild", "shops", "--verify")
    assert "the table of 1 row" in compared
    stack.compose("run", "--rm", "-T", "maintain", "rebuild", "shops", "--drop")
    stack.compose("exec", "-T", "code-team", "etl-assets", "doctor")  # fails if there is a violation


def test_data_docs_are_behind_the_proxy(stack: Stack) -> None:
    stack.compose("exec", "-T", "code-bundled", "etl-assets", "audit", "airlines")
    status, page = stack.get("/data_docs/index.html")
    assert status == 200
    assert "airlines" in page


def test_the_status_of_both_locations_is_behind_the_proxy(stack: Stack) -> None:
    stack.compose("restart", "-t", "1", "status")  # it writes the pages when it starts
    wait_for(lambda: "shops" in stack.get("/status/index.html")[1], 120, lambda: stack.compose("logs", "status"))
    assert "flights" in stack.get("/status/")[1]
    assert stack.get("/status/tables/shops.html")[0] == 200


def test_metrics_are_exported_to_the_network_of_the_proxy(stack: Stack) -> None:
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9464/metrics').read().decode())"
    exported = stack.compose("exec", "-T", "metrics", "python", "-c", ask)
    assert 'etl_assets_up{database="warehouse"} 1.0' in exported
    assert 'etl_assets_up{database="dagster"} 1.0' in exported
    assert 'etl_assets_runs_total{source="flights",status="succeeded"}' in exported


# what the containers may do


def test_no_container_runs_as_root_or_may_become_root(stack: Stack) -> None:
    for each in stack.containers():
        assert each["Config"]["User"] in {"10001:10001", "999:999"}, each["Name"]
        assert each["HostConfig"]["ReadonlyRootfs"], each["Name"]
        assert each["HostConfig"]["CapDrop"] == ["ALL"], each["Name"]
        assert "no-new-privileges:true" in each["HostConfig"]["SecurityOpt"], each["Name"]
        assert not each["HostConfig"]["Privileged"], each["Name"]


def test_every_container_has_limits_and_its_log_is_rotated(stack: Stack) -> None:
    for each in stack.containers():
        assert each["HostConfig"]["Memory"] > 0, each["Name"]
        assert each["HostConfig"]["PidsLimit"] > 0, each["Name"]
        assert each["HostConfig"]["LogConfig"]["Config"]["max-size"] == "10m", each["Name"]


def test_only_one_container_reaches_the_docker_engine(stack: Stack) -> None:
    with_socket = [
        each["Config"]["Labels"].get("com.docker.compose.service")
        for each in stack.containers()
        if any("docker.sock" in mount["Source"] for mount in each["Mounts"])
    ]
    assert with_socket == ["docker-proxy"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/images/json"),
        ("POST", "/containers/{id}/exec"),
        ("GET", "/containers/{id}/archive?path=/etc"),
        ("POST", "/containers/prune"),
        ("DELETE", "/containers/{id}?force=true"),
        ("GET", "/containers/create"),
        ("POST", "/build"),
        ("GET", "/secrets"),
    ],
)
def test_other_calls_to_the_docker_engine_are_refused(stack: Stack, method: str, path: str) -> None:
    target = path.format(id=stack.container_of("postgres"))
    ask = (
        "import http.client; c = http.client.HTTPConnection('docker-proxy', 2375); "
        f"c.request('{method}', '/v1.41{target}'); print(c.getresponse().status)"
    )
    assert stack.compose("exec", "-T", "daemon", "python", "-c", ask).strip() == "403"


def test_code_of_sources_does_not_reach_the_docker_engine_or_the_webserver(stack: Stack) -> None:
    for host, port in (("docker-proxy", 2375), ("webserver", 3000), ("proxy", 8080)):
        ask = f"import socket; socket.create_connection(('{host}', {port}), 3)"
        network = f"{stack.project}_runs"
        answer = run("docker", "run", "--rm", "--network", network, IMAGE, "python", "-c", ask, check=False)
        assert "gaierror" in answer, (host, answer)


def test_no_secret_is_in_the_image_in_the_containers_or_in_the_logs(stack: Stack) -> None:
    shown = run("docker", "history", "--no-trunc", IMAGE) + run("docker", "image", "inspect", IMAGE)
    shown += json.dumps(stack.containers()) + stack.compose("logs", "--no-color")
    shown += "".join(run("docker", "logs", container) for container in stack.runs())
    for name, secret in stack.secrets().items():
        assert secret not in shown or name == "channel_default", name


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("etl_loader", "DROP TABLE etl.rejected"),
        ("etl_loader", "TRUNCATE etl.batch"),
        ("etl_loader", "DELETE FROM etl.delivery"),
        ("etl_loader", "CREATE TABLE public.mine (a int)"),
        ("etl_loader", "SELECT raw FROM etl.rejected"),
        ("etl_reader", "DELETE FROM core.flights"),
        ("etl_reader", "INSERT INTO etl.run (source) VALUES ('mine')"),
        ("etl_reader", "SELECT raw FROM etl.rejected"),
        ("etl_reviewer", "SELECT * FROM core.flights"),
        ("etl_reviewer", "DELETE FROM etl.rejected"),
        ("etl_reviewer", "UPDATE etl.rejected SET raw = ''"),
    ],
)
def test_a_role_may_do_no_more_than_its_work(stack: Stack, role: str, statement: str) -> None:
    answer = stack.sql(statement, role, check=False)
    assert "permission denied" in answer or "must be owner" in answer


def test_a_reader_reads_tables_and_history(stack: Stack) -> None:
    assert int(stack.sql("SELECT count(*) FROM core.flights", "etl_reader")) > 0
    assert int(stack.sql("SELECT count(*) FROM etl.run", "etl_reader")) > 0


def test_the_janitor_removes_containers_of_runs_that_have_ended(stack: Stack) -> None:
    assert len(stack.runs()) > 3
    printed = stack.compose("exec", "-T", "janitor", "python", "-m", "etl_assets.janitor", "--days", "0")
    assert printed.count("is removed") > 3
    assert stack.runs() == []
    assert all(each["State"]["Running"] or each["State"]["ExitCode"] == 0 for each in stack.containers())


def test_the_proxy_can_have_tls(stack: Stack) -> None:
    certificate, key = (stack.folder / "secrets" / name for name in ("tls_certificate", "tls_key"))
    run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate),
    )  # fmt: skip
    key.chmod(0o644)
    stack.change({"PROXY_CONF": "tls"})
    stack.compose("up", "-d", "--no-build", "--no-deps", "--force-recreate", "proxy")
    context = ssl.create_default_context(cafile=str(certificate))

    def status() -> int:
        try:
            with urlopen(f"https://localhost:{stack.port}/", context=context, timeout=20) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    wait_for(lambda: status() == 401, 60, lambda: stack.compose("logs", "--tail", "20", "proxy"))
    stack.change({"PROXY_CONF": "plain"})
    stack.compose("up", "-d", "--no-build", "--no-deps", "--force-recreate", "proxy")
    wait_for(lambda: stack.get("/server_info")[0] == 200, 60, lambda: stack.compose("logs", "--tail", "20", "proxy"))


def test_deliveries_can_be_frozen_in_an_object_store(stack: Stack, object_store: str) -> None:
    stack.write_secret("aws", "[default]\naws_access_key_id = landing\naws_secret_access_key = of-the-object-store\n")
    stack.change(
        {
            "ETL_ASSETS_LANDING_URL": "s3://landing/deliveries",
            "AWS_SHARED_CREDENTIALS_FILE": "/run/secrets/aws",
            "AWS_ENDPOINT_URL": "http://s3:5000",
        }
    )
    stack.compose("up", "-d", "--no-build")
    stack.wait_healthy()
    wait_for(lambda: stack.locations()["bundled"], 120, lambda: stack.compose("logs", "--tail", "20", "code-bundled"))
    run_id = stack.launch("bundled", FLIGHTS, "2013-05-01")
    assert stack.end_of(run_id) == "SUCCESS", stack.log(run_id)
    assert _is_whole(stack, "2013-05-01")
    listing = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:5000/landing').read().decode())"
    assert "<Key>deliveries/" in run("docker", "exec", object_store, "python3", "-c", listing)
