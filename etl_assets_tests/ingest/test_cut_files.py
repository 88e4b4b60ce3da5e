"""A file that ends without a line end may have been cut: its last record waits until a person has looked at it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import ingest
from etl_assets.errors import DeliveryIncompleteError, TooManyRejectedError
from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.graph.assets.checks import blocking_results
from etl_assets.model.partitions import Static
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.runs.asset_metadata import sample_places
from etl_assets.schema import Column, Schema

if TYPE_CHECKING:
    from etl_assets.load import LoadReport
    from etl_assets_tests.ingest.world import World


def cut(world: World, *lines: str) -> LoadReport:
    """Publish records of which the last has no line end, land and load them."""
    world.publish(*lines)
    path = world.folder / world.name / "goods.csv"
    path.write_bytes(path.read_bytes()[:-1])
    return world.load(world.land().delivery)


def test_the_last_record_of_a_cut_file_is_rejected_and_no_other(world: World) -> None:
    report = cut(world, "plum,1,ripe", "fig,33,green")
    assert world.rows() == [("plum", 1, "ripe")]
    (record,) = world.waiting()
    assert (record.rules, record.raw) == (["record__unterminated"], b"fig,33,green")
    assert record.fields == {"code": "fig", "amount": "33", "note": "green"}
    assert report.rules == {"record__unterminated": 1}
    assert world.violations() == []


def test_a_cut_record_needs_no_consent(world: World) -> None:
    world.max_rejected = 0.0
    report = cut(world, "plum,1,ripe", "fig,33,green")
    assert report.counts.rejected == 1
    with connected(world.url) as connection:
        assert all(result.passed for result in blocking_results(world.source, connection, report.delivery))
    with pytest.raises(TooManyRejectedError):
        cut(world, "plum,-1,ripe", "fig,3")


def test_a_cut_record_names_all_the_rules_that_it_breaks(world: World) -> None:
    cut(world, "plum,1,ripe", "fig,-3")
    cut(world, "plum,1,ripe", "fig,-3,")
    rules = [record.rules for record in world.waiting()]
    assert rules == [
        ["record__field_count", "record__unterminated"],
        ["amount__minimum", "record__unterminated"],
    ]


def test_a_record_that_a_person_replays_as_it_came_is_whole_for_good(world: World) -> None:
    report = cut(world, "plum,1,ripe", "fig,3,green")
    world.replay(*(record.id for record in world.waiting()))
    assert world.rows() == [("fig", 3, "green"), ("plum", 1, "ripe")]
    world.format = Csv(batch_bytes=100)
    world.load(report.delivery)
    assert world.rows() == [("fig", 3, "green"), ("plum", 1, "ripe")]
    assert world.waiting() == []
    assert world.violations() == []


def test_a_replay_of_all_records_leaves_one_that_may_have_been_cut(world: World) -> None:
    cut(world, "plum,-1,ripe", "fig,3,green")
    bad, last = world.waiting()
    world.correct(bad, amount="1")
    assert world.replay().replayed == 1
    assert [record.id for record in world.waiting()] == [last.id]
    world.correct(last, note="greenish")
    assert world.replay().replayed == 1
    assert world.rows() == [("fig", 3, "greenish"), ("plum", 1, "ripe")]


def test_a_cut_record_that_a_replay_rejects_may_still_have_been_cut(world: World) -> None:
    cut(world, "plum,1,ripe", "fig,-3,")
    world.replay(*(record.id for record in world.waiting()))
    (record,) = world.waiting()
    assert (record.rules, record.correction) == (["amount__minimum", "record__unterminated"], None)
    assert world.violations() == []


def test_a_record_that_is_only_reported_is_loaded_and_its_place_is_shown(world: World) -> None:
    world.format = Csv(batch_bytes=4096, unterminated="report")
    report = cut(world, "plum,1,ripe", "fig,3,green")
    assert len(world.rows()) == 2
    assert report.rules == {"record__unterminated": 1}
    with connected(world.url) as connection:
        assert sample_places(connection, [report.delivery.id]) == {"record__unterminated": ["record 2 at :3"]}


def test_a_record_is_reported_beside_one_of_another_partition_that_is_rejected(world: World) -> None:
    world.format = Csv(unterminated="report")
    world.schema = Schema(
        (Column("part", "text", required=True), Column("code", "text", required=True)), ("part", "code")
    )
    source = replace(world.source, partitions=Static(("a",), column="part"))
    path = world.folder / world.name / "goods.csv"
    path.parent.mkdir()
    path.write_bytes(b"part,code\nb,plum\na,fig")
    delivery = ingest.land(source, source.partition("a"), world.warehouse).delivery
    report = ingest.load(source, delivery, world.warehouse, "run")
    assert report.rules == {"part__partition": 1, "record__unterminated": 1}


def test_a_cut_file_can_be_refused_before_anything_is_entered(world: World) -> None:
    world.format = Csv(batch_bytes=4096, unterminated="refuse")
    with pytest.raises(DeliveryIncompleteError, match=r"may have been cut\. Nothing was written"):
        cut(world, "plum,1,ripe")
    assert world.query("SELECT count(*) FROM etl.delivery") == [(0,)]


def test_a_comment_without_a_line_end_cuts_no_record(world: World) -> None:
    world.format = Csv(batch_bytes=4096, comment="#")
    report = cut(world, "plum,1,ripe", "#the end")
    assert (report.counts.rejected, report.counts.skipped) == (0, 1)


def test_every_member_of_an_archive_is_checked(world: World) -> None:
    import zipfile

    path = world.folder / world.name / "goods.csv"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name, end in (("a.csv", ""), ("b.csv", "\n"), ("c.csv", "")):
            archive.writestr(name, f"code,amount,note\n{name[0]},1,x{end}")
    world.load(world.land().delivery)
    assert world.rows() == [("b", 1, "x")]
    assert [record.location for record in world.waiting()] == ["a.csv:2", "c.csv:2"]


def test_records_in_another_encoding_are_checked(world: World) -> None:
    world.format = Csv(batch_bytes=4096, encoding="utf-16")
    world.publish("plum,1,ripe", "fig,3,green")
    path = world.folder / world.name / "goods.csv"
    path.write_bytes(path.read_text().removesuffix("\n").encode("utf-16"))
    world.load(world.land().delivery)
    assert world.rows() == [("plum", 1, "ripe")]


def test_a_whole_object_without_a_line_end_is_whole(world: World) -> None:
    world.format = Ndjson()
    world.publish('{"code": "fig", "amount": 1, "note": "x"}', header='{"code": "plum", "amount": 1, "note": "x"}')
    path = world.folder / world.name / "goods.csv"
    path.write_bytes(path.read_bytes()[:-1])
    report = world.load(world.land().delivery)
    assert (report.counts.accepted, report.counts.rejected) == (2, 0)


def test_an_end_other_than_before_is_drift_until_it_is_as_before(world: World) -> None:
    def open_kinds() -> list[tuple[str, str]]:
        return world.query("SELECT kind, subject FROM etl.drift WHERE status = 'open'")

    world.take("plum,1,ripe")
    cut(world, "plum,1,ripe", "fig,3,green")
    assert open_kinds() == [("line_end", "missing")]
    world.take("plum,1,ripe", "fig,33,green")
    assert open_kinds() == []


def test_a_missing_line_end_that_is_declared_is_no_drift(world: World) -> None:
    world.format = Csv(batch_bytes=4096, unterminated="report")
    world.take("plum,1,ripe")
    cut(world, "plum,1,ripe", "fig,3,green")
    assert world.query("SELECT kind, status FROM etl.drift") == [("line_end", "accepted")]


def test_lines_that_are_no_records_are_counted_and_their_first_appearance_is_drift(world: World) -> None:
    world.format = Csv(batch_bytes=64, comment="#")
    long = "x" * 40
    assert world.take(f"plum,1,{long}").counts.skipped == 0
    report = world.take("# one", f"plum,1,{long}", "", "# two", f"fig,1,{long}", "# three", "# four")
    assert (report.counts.read, report.counts.skipped) == (2, 4)
    assert report.delivery.manifest.skipped == 4
    assert world.query("SELECT kind, subject FROM etl.drift WHERE status = 'open'") == [("skipped_lines", "some")]
    assert world.violations() == []


def test_lines_before_the_header_are_counted(world: World) -> None:
    world.format = Csv(batch_bytes=4096, skip_lines=2)
    report = world.take("", "code,amount,note", "plum,1,", header="Goods of today")
    assert (report.counts.read, report.counts.skipped) == (1, 1)


def test_a_delivery_keeps_its_number_of_lines_when_it_is_reloaded_or_read_in_part(world: World) -> None:
    world.format = Csv(batch_bytes=64, comment="#")
    long = "x" * 40
    report = world.take(f"plum,1,{long}", "# one", f"fig,1,{long}", "# two")
    assert report.counts.skipped == 2
    with connected(world.url) as connection:
        delivery = deliveries.by_id(connection, report.delivery.id)
    assert delivery is not None
    assert ingest.load(world.source, delivery, world.warehouse, "run", batches=[2]).counts.skipped == 2
    assert ingest.load(world.source, delivery, world.warehouse, "run", force=True).counts.skipped == 2
