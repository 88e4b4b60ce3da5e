"""What a publisher is answered, and what is kept then."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets_tests.receive.receiving import WITH_TOKEN, head, read_all

if TYPE_CHECKING:
    from etl_assets_tests.receive.receiving import Answer, Receiving

SIGNING = b"a-secret-for-signatures"
_numbers = iter(range(1, 1_000_000))


def fresh() -> bytes:
    """The bytes of a file that no other test sends."""
    return f"id,name\n{next(_numbers)},Ada\n".encode()


def _send(receiver: Receiving, body: bytes, headers: dict[str, str]) -> Answer:
    more: dict[str, Any] = dict(headers)
    return receiver.send("orders", body, **more)


def note(receiver: Receiving, source: str, key: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((receiver.inbox(source) / "notes" / f"{key}.json").read_text())
    return found


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_file_is_kept_byte_for_byte_and_acknowledged_by_its_hash(shared: Receiving, method: str) -> None:
    body = fresh()
    answer = shared.send("orders", body, method=method)
    digest = sha256(body).hexdigest()
    key = answer.content["key"]
    assert answer.status == 201
    assert answer.content == {
        "source": "orders", "sha256": digest, "size": len(body), "duplicate": False, "key": key
    }  # fmt: skip
    assert key.split("Z-")[1] == digest[:12]
    assert (shared.inbox("orders") / "files" / key).read_bytes() == body
    assert shared.parts("orders") == []


def test_the_keys_of_files_ascend_in_the_order_of_their_arrival(shared: Receiving) -> None:
    keys = [shared.send("orders", fresh()).content["key"] for _ in range(5)]
    assert keys == sorted(keys)


def test_the_bytes_of_the_newest_file_are_a_duplicate(shared: Receiving) -> None:
    body = fresh()
    first, again = shared.send("orders", body), shared.send("orders", body)
    assert (first.status, again.status) == (201, 200)
    assert again.content == {**first.content, "duplicate": True}


def test_bytes_that_come_back_after_others_are_another_file(shared: Receiving) -> None:
    body = fresh()
    answers = [shared.send("orders", each) for each in (body, fresh(), body)]
    assert [answer.status for answer in answers] == [201, 201, 201]


def test_the_same_id_with_the_same_bytes_is_a_duplicate_also_after_other_files(shared: Receiving) -> None:
    body, id_ = fresh(), f"id-{next(_numbers)}"
    first = shared.send("orders", body, Idempotency_Key=id_)
    shared.send("orders", fresh())
    again = shared.send("orders", body, Idempotency_Key=id_)
    assert (again.status, again.content["key"]) == (200, first.content["key"])


def test_the_same_id_with_other_bytes_is_a_conflict_and_nothing_is_kept(shared: Receiving) -> None:
    id_ = f"id-{next(_numbers)}"
    shared.send("orders", fresh(), Idempotency_Key=id_)
    before = shared.files("orders")
    answer = shared.send("orders", fresh(), Idempotency_Key=id_)
    assert answer.status == 409
    assert "new id" in answer.content["error"]
    assert shared.files("orders") == before


def test_sources_have_ids_of_their_own(shared: Receiving) -> None:
    id_ = f"id-{next(_numbers)}"
    assert shared.send("orders", fresh(), Idempotency_Key=id_).status == 201
    assert shared.send("stock", fresh(), Idempotency_Key=id_).status == 201


def test_an_id_is_remembered_for_bytes_that_were_a_duplicate(shared: Receiving) -> None:
    body, id_ = fresh(), f"id-{next(_numbers)}"
    shared.send("orders", body)
    assert shared.send("orders", body, Idempotency_Key=id_).status == 200
    assert shared.send("orders", fresh(), Idempotency_Key=id_).status == 409


def test_two_publishers_who_send_the_same_bytes_at_once_have_one_file(shared: Receiving) -> None:
    before = len(shared.files("stock"))
    body = fresh()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: shared.send("stock", body), range(4)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 201]
    assert len(shared.files("stock")) == before + 1


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"X_Filename": "orders of today.csv"}, "orders of today.csv"),
        ({"X_Filename": "%C3%A4.csv"}, "ä.csv"),
        ({"X_Filename": "/etc/../passwd"}, "passwd"),
        ({"X_Filename": "%1b[2J.csv"}, "\\x1b[2J.csv"),
        ({"Content_Disposition": "attachment; filename*=UTF-8''%C3%A4%2F..%2Fb.csv"}, "b.csv"),
        ({}, ""),
    ],
)
def test_the_publishers_name_is_noted_without_folders_and_control_characters(
    shared: Receiving, headers: dict[str, str], name: str
) -> None:
    key = _send(shared, fresh(), headers).content["key"]
    assert note(shared, "orders", key)["name"] == name


@pytest.mark.parametrize(
    ("headers", "ending"),
    [
        ({"X_Filename": "a.CSV"}, ".csv"),
        ({"X_Filename": "a.tar.gz"}, ".tar.gz"),
        ({"X_Filename": "a.<b>"}, ""),
        ({"Content_Type": "text/csv; charset=utf-8"}, ".csv"),
        ({"Content_Type": "text/csv", "Content_Encoding": "gzip"}, ".csv.gz"),
        ({}, ""),
    ],
)
def test_a_key_ends_as_the_name_or_the_type_says(shared: Receiving, headers: dict[str, str], ending: str) -> None:
    key = _send(shared, gzip.compress(fresh()), headers).content["key"]
    assert key.split("Z-")[1][12:] == ending


def test_a_packed_body_is_kept_as_it_was_sent(shared: Receiving) -> None:
    body = gzip.compress(fresh())
    key = shared.send("orders", body, Content_Encoding="gzip").content["key"]
    assert (shared.inbox("orders") / "files" / key).read_bytes() == body


def test_a_body_in_chunks_is_kept_whole(shared: Receiving) -> None:
    answer = shared.send("orders", iter([b"id,name\n", b"1,", b"chunks\n"]))
    assert (shared.inbox("orders") / "files" / answer.content["key"]).read_bytes() == b"id,name\n1,chunks\n"


def test_an_unknown_source_and_a_wrong_token_get_the_same_answer(shared: Receiving) -> None:
    wrong = [
        shared.send("orders", b"x", Authorization="Bearer wrong"),
        shared.send("orders", b"x", Authorization=""),
        shared.send("orders", b"x", Authorization="Basic eDp5"),
        shared.send("nothing", b"x"),
        shared.send("nothing", b"x", Authorization="Bearer wrong"),
        shared.send("airlines", b"x"),
    ]
    assert {answer.status for answer in wrong} == {401}
    assert len({(str(answer.content), answer.headers["www-authenticate"]) for answer in wrong}) == 1
    assert not shared.inbox("nothing").exists()


def test_an_unknown_source_and_a_wrong_token_are_answered_in_the_same_time(shared: Receiving) -> None:
    times: dict[str, list[float]] = {"orders": [], "nothing": []}
    for _ in range(60):
        for source, each in times.items():
            started = time.perf_counter()
            shared.send(source, b"x", Authorization="Bearer wrong")
            each.append(time.perf_counter() - started)
    medians = [sorted(each)[len(each) // 2] for each in times.values()]
    assert max(medians) < 2 * min(medians)


def test_a_token_that_comes_twice_is_none(shared: Receiving) -> None:
    request = head("orders", "Authorization: Bearer other", "Content-Length: 1", "Connection: close") + b"x"
    with shared.connection(request) as connection:
        assert read_all(connection).startswith(b"HTTP/1.1 401 ")


def test_no_answer_names_the_software_or_has_a_traceback(shared: Receiving) -> None:
    for answer in (shared.send("orders", fresh()), shared.send("", path="/"), shared.send("orders", b"")):
        assert "server" not in answer.headers
        assert "Traceback" not in str(answer.content)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("PUT", "/receive/", 404),
        ("PUT", "/receive/../orders", 404),
        ("PUT", "/receive/orders/x", 404),
        ("PUT", "/receive/%6frders%2f..%2fx", 404),
        ("GET", "/receive/orders", 405),
        ("DELETE", "/receive/nothing", 405),
    ],
)
def test_there_is_no_other_path(shared: Receiving, method: str, path: str, status: int) -> None:
    assert shared.send("", method=method, path=path).status == status


def test_health_needs_no_token_and_says_nothing(shared: Receiving) -> None:
    answer = shared.send("", method="GET", path="/health", Authorization="")
    assert (answer.status, answer.content) == (200, {"status": "ok"})


def test_an_empty_body_is_refused(shared: Receiving) -> None:
    assert shared.send("orders", b"").status == 400


@pytest.mark.parametrize("type_", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_is_refused_because_it_is_not_the_file(shared: Receiving, type_: str) -> None:
    answer = shared.send("orders", fresh(), Content_Type=type_)
    assert answer.status == 415
    assert "curl -T" in answer.content["error"]


def test_an_unknown_encoding_is_refused(shared: Receiving) -> None:
    assert shared.send("orders", fresh(), Content_Encoding="br").status == 415


def test_an_id_that_is_too_long_is_refused(shared: Receiving) -> None:
    assert shared.send("orders", fresh(), Idempotency_Key="x" * 256).status == 400


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(shared: Receiving) -> None:
    request = head("small", "Content-Length: 1001", "Expect: 100-continue")
    with shared.connection(request) as connection:
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


def test_a_body_that_becomes_too_large_is_refused_and_nothing_is_kept(shared: Receiving) -> None:
    before = shared.files("small")
    answer = shared.send("small", iter([b"x" * 400] * 3))
    assert answer.status == 413
    assert "1,000 bytes" in answer.content["error"]
    assert (shared.files("small"), shared.parts("small")) == (before, [])


def test_a_file_of_the_largest_size_is_kept(shared: Receiving) -> None:
    assert shared.send("small", b"x" * 1000).status == 201


def test_a_publisher_with_a_wrong_token_and_a_body_gets_the_answer_and_no_reset(shared: Receiving) -> None:
    answer = shared.send("orders", b"x" * 900_000, Authorization="Bearer wrong")
    assert answer.status == 401


def test_files_beyond_those_that_may_wait_are_refused_for_now(shared: Receiving) -> None:
    assert shared.send("full", fresh()).status == 201
    answer = shared.send("full", fresh())
    assert (answer.status, answer.headers["retry-after"]) == (503, "60")
    assert len(shared.files("full")) == 1


def test_bodies_beyond_those_at_once_are_refused_for_a_moment(shared: Receiving) -> None:
    opened: list[socket.socket] = []
    try:
        for _ in range(4):
            connection = socket.create_connection(("127.0.0.1", shared.port), timeout=30)
            opened.append(connection)
            connection.sendall(head("orders", "Content-Length: 10") + b"x")
        shared.until(lambda: len(shared.parts("orders")) == 4)
        answer = shared.send("orders", fresh())
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    finally:
        for connection in opened:
            connection.close()
    shared.until(lambda: not shared.parts("orders"))
    assert shared.send("orders", fresh()).status == 201


@pytest.mark.parametrize("written", ["prefix", "hex", "base64"])
def test_a_body_with_the_right_signature_is_kept(shared: Receiving, written: str) -> None:
    body = fresh()
    mac = hmac.new(SIGNING, body, sha256)
    packed = base64.b64encode(mac.digest()).decode()
    given = {"prefix": f"sha256={mac.hexdigest()}", "hex": mac.hexdigest(), "base64": packed}[written]
    assert shared.send("hooks", body, Authorization="", X_Hub_Signature_256=given).status == 201


@pytest.mark.parametrize("signature", ["", "sha256=", "sha256=zz", "sha256=" + "0" * 64, "0" * 64, "sha1=" + "0" * 40])
def test_a_body_without_the_right_signature_is_not_kept(shared: Receiving, signature: str) -> None:
    before = shared.files("hooks")
    answer = shared.send("hooks", fresh(), Authorization="", X_Hub_Signature_256=signature)
    assert answer.status == 401
    assert (shared.files("hooks"), shared.parts("hooks")) == (before, [])


@pytest.mark.parametrize(("off", "status"), [(0, 201), (-299, 201), (-400, 401), (400, 401)])
def test_a_signature_with_a_time_counts_for_five_minutes(shared: Receiving, off: int, status: int) -> None:
    body = fresh()
    moment = int(time.time()) + off
    mac = hmac.new(SIGNING, f"{moment}.".encode() + body, sha256).hexdigest()
    header = f"t={moment},v0=abc,v1={'0' * 64},v1={mac}"
    assert shared.send("stamped", body, Stripe_Signature=header).status == status


def test_a_signature_without_its_time_does_not_count_where_a_time_is_declared(shared: Receiving) -> None:
    body = fresh()
    mac = hmac.new(SIGNING, body, sha256).hexdigest()
    assert shared.send("stamped", body, Stripe_Signature=f"sha256={mac}").status == 401


def test_requests_on_one_connection_are_answered_in_order(shared: Receiving) -> None:
    bodies = [fresh(), fresh(), fresh()]
    lines = [["Connection: close"] if body is bodies[-1] else [] for body in bodies]
    data = b"".join(
        head("orders", f"Content-Length: {len(body)}", *more) + body for body, more in zip(bodies, lines, strict=True)
    )
    with shared.connection(data) as connection:
        text = read_all(connection).decode()
    digests = [line.split('"sha256": "')[1][:64] for line in text.splitlines() if '"sha256"' in line]
    assert digests == [sha256(body).hexdigest() for body in bodies]


def test_a_receiver_at_a_unix_socket_answers(receiver: Receiving) -> None:
    receiver.declare("orders", WITH_TOKEN)
    path = receiver.folder / "s"
    receiver.start("--uds", str(path))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(head("orders", "Content-Length: 2", "Connection: close") + b"id")
        assert read_all(connection).startswith(b"HTTP/1.1 201 ")
    assert receiver.end() == 0
    assert not path.exists()


def test_other_publishers_are_served_while_a_large_body_arrives(shared: Receiving) -> None:
    with shared.connection(head("orders", "Content-Length: 3000000") + b"x" * 1_500_000) as connection:
        answers = [shared.send("orders", fresh()).status for _ in range(5)]
        connection.sendall(b"x" * 1_500_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 201 ")
    assert answers == [201] * 5
