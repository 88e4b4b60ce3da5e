"""Redacted records leave nothing behind: no row, no frozen bytes, nothing in schema ``etl``; all else stays."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import ingest, rebuild, redact, watch
from etl_assets.errors import DeliveryMissingError, LoadError, RedactionError
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Append, History, Replace, Snapshot
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import decisions, deliveries, redactions
from etl_assets.schema import Schema
from etl_assets.transform import Transformer
from etl_assets_tests.explain.asked import ask
from etl_assets_tests.ingest.goods_in_formats import FEEDS, goods
from etl_assets_tests.ingest.world import GOODS, ending_after
from etl_assets_tests.redact.traces import redact_by_number, redact_by_values, traces

if TYPE_CHECKING:
    import pandas as pd

    from etl_assets.load import LoadReport
    from etl_assets.model.delivery import Delivery
    from etl_assets_tests.ingest.goods_in_formats import Feed
    from etl_assets_tests.ingest.world import World

_SECRET = "zorro"
_LETTERS = "abcdefghijklmnopqrstuvwxy"


def _take(world: World, *lines: str, file: str = "goods.csv") -> LoadReport:
    """Publish, land, load and conclude a file."""
    report = world.take(*lines, file=file)
    with connected(world.url) as connection:
        watch.conclude(connection, world.source, report.delivery)
    return report


def test_a_record_with_some_values_leaves_no_trace_and_all_others_stay(world: World) -> None:
    _take(world, "a,1,x", f"{_SECRET},2,y", "c,3,z")
    assert set(traces(world, _SECRET)) == {"core.goods", "etl.profile", ".bytes"}

    finished = redact_by_values(world, {"code": _SECRET})

    assert traces(world, _SECRET) == []
    assert world.rows() == [("a", 1, "x"), ("c", 3, "z")]
    assert (finished.removed, len(finished.reloaded), finished.rows_left) == (1, 1, 0)
    assert world.violations() == []


def test_every_delivery_that_had_the_record_loses_it_so_that_no_older_version_comes_back(world: World) -> None:
    _take(world, "a,1,x", f"{_SECRET},2,y")
    _take(world, f"{_SECRET},5,y", "a,7,x")
    _take(world, "a,8,x")

    redact_by_values(world, {"code": _SECRET})

    assert traces(world, _SECRET) == []
    assert world.rows() == [("a", 8, "x")]
    assert world.violations() == []


def test_a_record_is_found_by_any_of_its_columns_and_several_at_once(world: World) -> None:
    _take(world, "a,1,x", "b,2,y", "c,2,z", "d,4,z")

    redact_by_values(world, {"amount": "2"})
    redact_by_values(world, {"code": "a", "note": "x"}, {"code": "d", "note": "other"})

    assert world.rows() == [("d", 4, "z")]
    assert world.violations() == []


def test_a_record_without_a_value_is_found_by_an_empty_one(world: World) -> None:
    _take(world, "a,1,x", f"{_SECRET},2,", "c,3,")

    finished = redact_by_values(world, {"code": _SECRET, "note": ""})

    assert traces(world, _SECRET) == []
    assert world.rows() == [("a", 1, "x"), ("c", 3, None)]
    assert finished.rows_left == 0


def test_a_rejected_record_is_redacted_by_its_number(world: World) -> None:
    report = _take(world, "a,1,x", f"B,{_SECRET},{_SECRET}")
    assert "etl.rejected" in traces(world, _SECRET)

    redact_by_number(world, (report.delivery.id, 2))

    assert traces(world, _SECRET) == []
    assert world.rows() == [("a", 1, "x")]
    assert world.waiting() == []
    assert world.violations() == []


def test_a_record_is_found_by_the_values_that_a_person_entered_as_its_correction(world: World) -> None:
    _take(world, "a,1,x", "B,2,y")
    (record,) = world.waiting()
    world.correct(record, code=_SECRET, note=_SECRET)
    world.replay()

    redact_by_values(world, {"code": _SECRET})

    assert traces(world, _SECRET) == []
    assert world.rows() == [("a", 1, "x")]
    assert world.violations() == []


def test_a_dismissed_record_loses_its_contents_and_its_note(world: World) -> None:
    report = _take(world, "a,1,x", f"B,{_SECRET},y")
    with connected(world.url) as connection:
        decisions.dismiss(connection, [record.id for record in world.waiting()], "ada", f"that is {_SECRET}")

    redact_by_number(world, (report.delivery.id, 2))

    assert traces(world, _SECRET) == []
    assert world.violations() == []


@pytest.mark.parametrize("write", [Snapshot(max_deleted=1.0), Snapshot(max_deleted=1.0, mark=True), History()], ids=str)
def test_nothing_is_left_in_any_write_mode_by_key(world: World, write: Any) -> None:
    world = world.other(more={"write": write})
    _take(world, "a,1,x", f"{_SECRET},2,y", "c,3,z")
    _take(world, "a,1,x", f"{_SECRET},4,y", "c,3,z")
    _take(world, "a,2,x", "c,3,z")

    redact_by_values(world, {"code": _SECRET})

    assert traces(world, _SECRET) == []
    assert {("a", 2, "x"), ("c", 3, "z")} <= set(world.rows())
    assert world.violations() == []


@pytest.mark.parametrize(("write", "kept"), [(Replace(), [("a", 2)]), (Append(), [("a", 1), ("a", 2)])], ids=str)
def test_nothing_is_left_in_any_write_mode_without_a_key(world: World, write: Any, kept: list[tuple[str, int]]) -> None:
    world = world.other(more={"write": write}, schema=Schema(GOODS.columns, repeated_keys="last"))
    _take(world, "a,1,x", f"{_SECRET},2,y")
    _take(world, "a,2,x", f"{_SECRET},2,y")

    redact_by_values(world, {"code": _SECRET})

    assert traces(world, _SECRET) == []
    assert world.query("SELECT code, amount FROM core.goods ORDER BY amount") == kept
    assert world.violations() == []


def test_a_member_of_a_category_that_opened_a_drift_is_forgotten(world: World) -> None:
    def lines(amount: int, last: str) -> list[str]:
        notes = ["x"] * 60 + ["y"] * 30 + [last] * 10
        return [f"{chr(97 + number // 26)}{chr(97 + number % 26)},{amount},{notes[number]}" for number in range(100)]

    for amount in range(5):
        _take(world, *lines(amount, "y"))
    _take(world, *lines(5, _SECRET))
    assert "etl.drift" in traces(world, _SECRET)

    redact_by_values(world, {"note": _SECRET})

    assert traces(world, _SECRET) == []


@pytest.mark.parametrize("name", FEEDS)
def test_a_record_of_any_format_goes_and_the_others_are_read_as_before(world: World, name: str) -> None:
    feed: Feed = FEEDS[name]
    world = world.other(format=feed.format)
    rows = [*goods(0, 0), ("bbb", "?", "note 1"), None, *goods(3, 19)]
    report = world.take_bytes(feed.write(rows))
    before, waiting = world.rows(), world.waiting()
    assert len(report.delivery.manifest.spans) > 1

    redact_by_values(world, {"code": "eee"})

    assert world.rows() == [row for row in before if row[0] != "eee"]
    assert traces(world, "note 4") == []
    assert [(record.raw, record.location, record.rules) for record in world.waiting()] == [
        (record.raw, record.location, record.rules) for record in waiting
    ]
    assert world.violations() == []


def test_a_record_of_an_archive_goes(world: World) -> None:
    folder = world.folder / "goods"
    folder.mkdir()
    with zipfile.ZipFile(folder / "goods.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.csv", f"code,amount,note\na,1,x\n{_SECRET},2,y\n")
        archive.writestr("two.csv", f"code,amount,note\nc,3,z\n{_SECRET},9,y\n")
    extractor = FileExtractor(location=str(folder / "goods.zip"), format=Csv(), settle_seconds=0)
    world = world.other(extractor=extractor)
    world.load(world.land().delivery)

    redact_by_values(world, {"code": _SECRET})

    assert world.rows() == [("a", 1, "x"), ("c", 3, "z")]
    assert next(iter((world.folder / "landing").rglob("*.bytes"))).read_bytes().startswith(b"ARROW1")
    assert world.violations() == []


def test_a_last_record_without_line_end_is_still_rejected(world: World) -> None:
    world.take_bytes(b"code,amount,note\na,1,x\nb,2,y\nc,3,z")
    assert [record.rules for record in world.waiting()] == [["record__unterminated"]]

    redact_by_values(world, {"code": "a"})

    assert [record.rules for record in world.waiting()] == [["record__unterminated"]]
    assert world.rows() == [("b", 2, "y")]
    assert world.violations() == []


def test_all_records_of_a_delivery_can_be_redacted(world: World) -> None:
    _take(world, f"{_SECRET},1,x")
    redact_by_values(world, {"code": _SECRET})
    assert (world.rows(), traces(world, _SECRET)) == ([], [])
    assert world.violations() == []


def test_another_redaction_of_the_same_delivery_follows(world: World) -> None:
    _take(world, "a,1,x", "b,2,y", "c,3,z")
    redact_by_values(world, {"code": "a"})
    redact_by_values(world, {"code": "b"})
    assert world.rows() == [("c", 3, "z")]
    assert world.query("SELECT records FROM etl.redaction ORDER BY id") == [([1],), ([2],)]
    assert len(list((world.folder / "landing").rglob("*.bytes"))) == 1
    assert world.violations() == []


def test_the_same_bytes_fetched_again_are_the_same_delivery_and_are_not_kept(world: World) -> None:
    first = _take(world, "a,1,x", f"{_SECRET},2,y")
    redact_by_values(world, {"code": _SECRET})

    landed = world.land()

    assert (landed.new, landed.delivery.id) == (False, first.delivery.id)
    assert traces(world, _SECRET) == []
    assert world.load(landed.delivery).status == "unchanged"
    assert world.rows() == [("a", 1, "x")]


def test_other_bytes_with_the_record_are_a_new_delivery(world: World) -> None:
    _take(world, "a,1,x", f"{_SECRET},2,y")
    redact_by_values(world, {"code": _SECRET})
    _take(world, "a,2,x", f"{_SECRET},2,y")
    assert world.rows() == [("a", 2, "x"), (_SECRET, 2, "y")]


def test_a_reload_and_a_changed_declaration_do_not_bring_it_back(world: World) -> None:
    report = _take(world, "a,1,x", f"{_SECRET},2,y")
    redact_by_values(world, {"code": _SECRET})
    later = world.other(max_rejected=0.5, schema=Schema(GOODS.columns[:2], key=("code",), ignored=("note",)))

    later.load(report.delivery)

    assert later.rows() == [("a", 1)]
    assert later.violations() == []


def test_a_rebuilt_table_is_equal(world: World) -> None:
    _take(world, "a,1,x", f"{_SECRET},2,y")
    _take(world, "a,2,x", f"{_SECRET},3,y", "c,1,z")
    redact_by_values(world, {"code": _SECRET})
    assert rebuild.verify(world.source, world.warehouse, "rebuild").differing == 0
    rebuild.drop(world.source, world.warehouse)


def test_a_delivery_that_is_not_loaded_yet_is_loaded_without_the_record(world: World) -> None:
    world.publish("a,1,x", f"{_SECRET},2,y")
    landed = world.land()
    redact_by_values(world, {"code": _SECRET})
    world.load(landed_again(world, landed.delivery.id))
    assert world.rows() == [("a", 1, "x")]
    assert traces(world, _SECRET) == []
    assert world.violations() == []


def landed_again(world: World, id_: int) -> Delivery:
    with connected(world.url) as connection:
        delivery = deliveries.by_id(connection, id_)
    assert delivery is not None
    return delivery


def test_a_load_that_looked_the_delivery_up_before_writes_nothing(world: World) -> None:
    world.publish("a,1,x", f"{_SECRET},2,y")
    landed = world.land()
    redact_by_values(world, {"code": _SECRET})
    with pytest.raises(LoadError, match=r"were redacted while a run was about to load it. Nothing was written"):
        ingest.load(world.source, landed.delivery, world.warehouse, "run")

    assert landed_again(world, landed.delivery.id).manifest.redacted == (2,)


def test_a_load_that_was_interrupted_begins_again_without_the_record(world: World) -> None:
    world = world.other(format=Csv(batch_bytes=64))
    world.publish(f"{_SECRET},2,y", *(f"{letter},1,x" for letter in _LETTERS))
    landed = world.land()
    with pytest.raises(KeyboardInterrupt):
        world.load(landed.delivery, ending_after(2))

    redact_by_values(world, {"code": _SECRET})

    assert world.rows() == [(letter, 1, "x") for letter in _LETTERS]
    assert traces(world, _SECRET) == []
    assert world.violations() == []


def test_the_bytes_that_an_interrupted_redaction_left_are_reported_and_removed_by_the_next_call(world: World) -> None:
    _take(world, "a,1,x", f"{_SECRET},2,y")
    values = redact.typed_values(world.source, [{"code": _SECRET}])
    found = redact.find(world.source, world.warehouse, values, {})
    redact.redact(world.source, world.warehouse, found, redact.Decision("ada", "asked"), "redact")
    assert any("still has bytes" in violation for violation in world.violations())

    finished = redact.finish(world.source, world.warehouse, "redact")

    assert finished.removed == 1
    assert traces(world, _SECRET) == []
    assert world.violations() == []


def test_a_key_that_was_redacted_is_not_said_to_be_never_delivered(world: World) -> None:
    _take(world, "a,1,x", f"{_SECRET},2,y")
    redact_by_values(world, {"code": _SECRET})
    assert ask(world, code=_SECRET).summary == (
        "It has no row. The key is not in the only delivery, from which 1 record was redacted."
    )


def test_what_was_redacted_by_whom_and_why_is_remembered_without_contents(world: World) -> None:
    report = _take(world, "a,1,x", f"{_SECRET},2,y")
    redact_by_values(world, {"code": _SECRET})
    assert world.query("SELECT delivery_id, source, records, reviewer, reason FROM etl.redaction") == [
        (report.delivery.id, "goods", [2], "ada", "asked to be forgotten")
    ]
    with connected(world.url) as connection:
        assert redactions.sources(connection) == ["goods"]


def test_bytes_that_another_source_has_as_well_stay_and_are_named(world: World) -> None:
    other = world.other(name="wares")
    for each in (world, other):
        _take(each, "a,1,x", f"{_SECRET},2,y")

    finished = redact_by_values(world, {"code": _SECRET})

    assert (finished.removed, finished.shared_with) == (0, ("wares",))
    assert other.violations() == []
    redact_by_values(other, {"code": _SECRET})
    assert traces(world, _SECRET) == []


def test_records_that_cannot_be_compared_are_counted(world: World) -> None:
    _take(world, "a,1,x", "b,many,y", "c,,z", "d,1,x,more")
    values = redact.typed_values(world.source, [{"amount": "7"}])
    (found,) = redact.find(world.source, world.warehouse, values, {})
    assert (found.numbers, found.unreadable) == ((), 2)  # one without the value does not have it


def test_a_source_that_is_being_rebuilt_is_refused(world: World) -> None:
    _take(world, f"{_SECRET},2,y")
    rebuild.build(world.source, world.warehouse, "rebuild")
    with pytest.raises(RedactionError, match=r"Nothing was changed. Put it in place or drop it first"):
        redact_by_values(world, {"code": _SECRET})
    assert world.rows() == [(_SECRET, 2, "y")]


def test_a_delivery_that_was_read_under_another_declaration_is_refused(world: World) -> None:
    _take(world, f"{_SECRET},2,y")
    later = world.other(max_rejected=1.0, schema=Schema(GOODS.columns[:2], key=("code",), ignored=("note",)))
    with pytest.raises(RedactionError, match=r"was read under another declaration.*etl-assets run goods"):
        redact_by_values(later, {"code": _SECRET})


def test_a_name_that_is_no_column_is_refused(world: World) -> None:
    with pytest.raises(RedactionError, match=r"publishes no column 'colour'. Nothing was changed. It publishes code"):
        redact.typed_values(world.source, [{"colour": "red"}])


def test_a_value_that_is_not_written_as_declared_is_refused_without_showing_it(world: World) -> None:
    with pytest.raises(RedactionError, match=r"A value of amount is not written as") as raised:
        redact.typed_values(world.source, [{"amount": "seventeen"}])
    assert "seventeen" not in str(raised.value)


@pytest.mark.parametrize("number", [0, 3])
def test_a_record_that_the_delivery_does_not_have_is_refused(world: World, number: int) -> None:
    report = _take(world, "a,1,x", "b,2,y")
    with pytest.raises(RedactionError, match=rf"has no record {number}. Nothing was changed. Its records are 1 to 2"):
        redact.find(world.source, world.warehouse, None, {report.delivery.id: {number}})


def test_a_delivery_whose_bytes_are_lost_is_an_error(world: World) -> None:
    _take(world, "a,1,x")
    for path in (world.folder / "landing").rglob("*.bytes"):
        path.unlink()
    with pytest.raises(DeliveryMissingError):
        redact_by_values(world, {"code": "a"})


@dataclass(frozen=True)
class _Twice(Transformer):
    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(amount=frame["amount"] * 2)


def test_rows_that_a_transformer_made_go_with_their_record(world: World) -> None:
    world = world.other(more={"transformer": _Twice()})
    _take(world, "a,1,x", f"{_SECRET},2,y")
    finished = redact_by_values(world, {"code": _SECRET})
    assert world.rows() == [("a", 2, "x")]
    assert finished.rows_left is None
    assert world.violations() == []
