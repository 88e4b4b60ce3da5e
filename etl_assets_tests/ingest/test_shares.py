"""Several processes load one delivery: the table, the ledger and the quarantine are those of one process."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Append, Schema, ingest
from etl_assets.errors import TooManyRejectedError
from etl_assets.load import PostgresLoader, Share, shares
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from etl_assets.load import LoadReport
    from etl_assets_tests.ingest.world import World

_LINES = 3000
_LETTERS = "abcdefghij"
_LEDGER = """
SELECT number, first_record, last_record, read, rejected, filtered, accepted, produced, inserted, updated, unchanged,
duplicate, deleted, rules::text, confirmed FROM etl.batch JOIN etl.delivery ON delivery.id = delivery_id
WHERE source = '{name}' AND kind = 'ingest' ORDER BY number
"""


def _lines() -> Iterator[str]:
    """Yield records: keys come again after 700, with the same contents or others, and some break a rule."""
    for n in range(_LINES):
        code = "".join(_LETTERS[int(digit)] for digit in str(n % 700))
        yield f"{code},{'many' if n % 97 == 0 else n // 1400},note {n // 900}"


class Others:
    """The other processes: threads with sessions of their own, which get what a broker would send."""

    def __init__(self, world: World, act: Callable[[World, Share], int] | None = None) -> None:
        self._world = world
        self._act = act or _load_share
        self._threads: list[threading.Thread] = []
        self.written: list[int] = []
        self.errors: list[Exception] = []

    def hand_out(self, share: Share) -> None:
        sent = json.loads(json.dumps(asdict(share)))
        thread = threading.Thread(target=self._load, args=[Share(**{**sent, "missing": tuple(sent["missing"])})])
        thread.start()
        self._threads.append(thread)

    def _load(self, share: Share) -> None:
        try:
            self.written.append(self._act(self._world, share))
        except Exception as error:  # noqa: BLE001 -- asserted about
            self.errors.append(error)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


def _load_share(world: World, share: Share) -> int:
    return ingest.load_share(world.source, share, world.warehouse)


def _load(world: World, others: Others | None = None) -> LoadReport:
    world.publish(*_lines())
    delivery = world.land().delivery
    hand_out = others.hand_out if others is not None else None
    try:
        return ingest.load(world.source, delivery, world.warehouse, "run", hand_out=hand_out)
    finally:
        if others is not None:
            others.join()


def _result(world: World) -> tuple[Any, ...]:
    columns = "code, amount, note, _record_no, _row_hash"
    rows = world.query(f"SELECT {columns} FROM core.{world.name} ORDER BY _record_no, code")
    rejected = [(record.record_no, record.raw, record.rules) for record in world.waiting()]
    return rows, world.query(_LEDGER.format(name=world.name)), rejected


@pytest.fixture
def alone(world: World) -> World:
    return replace(world, name="alone")


def _shared(world: World, workers: int = 3, **more: Any) -> World:
    return replace(world, name="shared", more={"workers": workers, **more})


def test_the_result_is_that_of_one_process(world: World, alone: World) -> None:
    shared = _shared(world)
    others = Others(shared)
    report = _load(shared, others)
    expected = _load(alone)
    assert _result(shared) == _result(alone)
    assert replace(report.counts) == expected.counts
    assert report.status == expected.status == "loaded"
    assert others.errors == []
    assert len(others.written) == 2
    assert sum(others.written) > 1


def test_rows_without_a_key_are_added_once(world: World, alone: World) -> None:
    schema = Schema(GOODS.columns)
    one, several = (replace(each, schema=schema) for each in (alone, _shared(world)))
    several.more["write"] = one.more["write"] = Append()
    one.more.pop("workers", None)
    others = Others(several)
    _load(several, others)
    _load(replace(one, more={"write": Append()}))
    assert _result(several) == _result(one)
    assert sum(others.written) > 1


def test_a_run_takes_over_what_never_begins(world: World, alone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "START_SECONDS", 0.0)
    shared = _shared(world)
    others = Others(shared, lambda _world, _share: 0)
    _load(shared, others)
    _load(alone)
    assert _result(shared) == _result(alone)


def test_a_run_takes_over_what_a_process_leaves_that_ends(world: World, alone: World) -> None:
    def dies(world: World, share: Share) -> int:
        loader = PostgresLoader(transaction=ending_after(1))
        try:
            return ingest.load_share(replace(world.source, loader=loader), share, world.warehouse)
        except KeyboardInterrupt:
            return -1

    shared = _shared(world)
    others = Others(shared, dies)
    _load(shared, others)
    _load(alone)
    assert _result(shared) == _result(alone)
    assert -1 in others.written


def test_a_share_that_comes_late_writes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "START_SECONDS", 0.0)
    sent: list[Share] = []
    shared = _shared(world)
    shared.publish(*_lines())
    ingest.load(shared.source, shared.land().delivery, shared.warehouse, "run", hand_out=sent.append)
    before = _result(shared)
    assert [_load_share(shared, share) for share in sent] == [0, 0]
    assert _result(shared) == before


def test_a_share_ends_with_its_run(world: World) -> None:
    shared = _shared(world, workers=2)
    shared.publish(*_lines())
    delivery = shared.land().delivery
    others = Others(shared)
    dying = replace(shared.source, loader=PostgresLoader(transaction=ending_after(1)))
    with pytest.raises(KeyboardInterrupt):
        ingest.load(dying, delivery, shared.warehouse, "run", hand_out=others.hand_out)
    others.join()
    assert others.errors == []
    written = shared.query("SELECT count(*) FROM etl.batch")
    time.sleep(0.2)
    assert shared.query("SELECT count(*) FROM etl.batch") == written
    ingest.load(shared.source, delivery, shared.warehouse, "again", hand_out=Others(shared).hand_out)
    assert shared.query("SELECT status FROM etl.delivery") == [("complete",)]


def test_a_delivery_is_refused_as_by_one_process(world: World, alone: World) -> None:
    errors = []
    for each in (replace(_shared(world), max_rejected=0.003), replace(alone, max_rejected=0.003)):
        with pytest.raises(TooManyRejectedError) as raised:
            _load(each, Others(each))
        errors.append(re.sub(r"--delivery \d+", "", str(raised.value).replace(each.name, "x")))
    assert errors[0].partition(":")[2] == errors[1].partition(":")[2]
