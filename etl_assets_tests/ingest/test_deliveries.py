"""The ingest of valid and invalid deliveries, from bytes to rows."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from etl_assets.errors import (
    DeclarationError,
    DeliveryError,
    DeliveryIncompleteError,
    DeliveryMissingError,
    ShapeError,
    TooManyRejectedError,
    TransformError,
    TransientLoadError,
)
from etl_assets.extract.formats.csv import Csv
from etl_assets.postgres.connection import connected
from etl_assets.schema import Column, Schema
from etl_assets.transform import Transformer
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    import pandas as pd

    from etl_assets_tests.ingest.world import World

WORDS = [f"{a}{b}{c}" for a in "abcdefghij" for b in "klmnopqrst" for c in "uvwxyz"]


def test_good_records_reach_the_table_and_bad_ones_the_quarantine_with_all_their_rules(world: World) -> None:
    report = world.take("apple,3,fresh", "Pear,-1,", "plum,many,", "fig,1,2,3", b"kiwi,4,\xff", "lime,,")
    assert world.rows() == [("apple", 3, "fresh"), ("lime", None, None)]
    waiting = [(r.record_no, r.raw, sorted(r.rules), r.location) for r in world.waiting()]
    assert waiting == [
        (2, b"Pear,-1,", ["amount__minimum", "code__pattern"], ":3"),
        (3, b"plum,many,", ["amount__type"], ":4"),
        (4, b"fig,1,2,3", ["record__field_count"], ":5"),
        (5, b"kiwi,4,\xff", ["record__encoding"], ":6"),
    ]
    assert (report.counts.read, report.counts.rejected, report.counts.accepted) == (6, 4, 2)
    assert world.violations() == []


def test_a_delivery_of_many_batches_adds_up(world: World) -> None:
    lines = [f"{word},{n},{'x' * (n % 50)}" if n % 97 else f"{word},bad," for n, word in enumerate(WORDS)]
    report = world.take(*lines)
    assert len(report.delivery.manifest.spans) > 3
    assert report.counts.rejected == sum(n % 97 == 0 for n in range(len(WORDS)))
    assert len(world.rows()) == report.counts.inserted == len(WORDS) - report.counts.rejected
    assert world.violations() == []


def test_identical_bytes_are_the_same_delivery(world: World) -> None:
    first = world.take("apple,1,")
    assert not world.land().new
    again = world.load(world.land().delivery)
    assert (again.status, again.delivery.id) == ("unchanged", first.delivery.id)


def test_bytes_that_come_back_after_others_are_a_new_delivery(world: World) -> None:
    world.take("apple,1,")
    world.take("apple,2,")
    report = world.take("apple,1,")
    assert world.rows() == [("apple", 1, None)]
    assert report.counts.updated == 1


def test_a_renamed_required_column_refuses_the_delivery_and_leaves_the_table(world: World) -> None:
    world.take("apple,1,")
    world.publish("apple,2,", header="kode,amount,note")
    with pytest.raises(ShapeError, match=r"code.*[Nn]othing was written") as raised:
        world.land()
    assert "kode" in str(raised.value)
    assert world.rows() == [("apple", 1, None)]
    assert world.query("SELECT status FROM etl.delivery ORDER BY id") == [("complete",), ("refused",)]
    assert world.violations() == []


def test_a_missing_file_raises_an_error(world: World) -> None:
    with pytest.raises(DeliveryMissingError, match=r"[Nn]othing was written"):
        world.land()


def test_an_empty_file_raises_an_error(world: World) -> None:
    world.publish()
    (world.folder / "goods" / "goods.csv").write_bytes(b"")
    with pytest.raises(DeliveryError, match=r"[Nn]othing was written"):
        world.land()


def test_a_file_with_only_a_header_is_a_delivery_without_records(world: World) -> None:
    world.take("apple,1,")
    report = world.take()
    assert (report.status, report.counts.read, report.delivery.status) == ("loaded", 0, "complete")
    assert world.rows() == [("apple", 1, None)]
    assert world.violations() == []


def test_a_file_in_another_encoding_raises_an_error(world: World) -> None:
    world.publish("apple,1,")
    path = world.folder / "goods" / "goods.csv"
    path.write_bytes(path.read_text().encode("utf-16"))
    with pytest.raises(DeliveryError, match=r"utf-16.*[Nn]othing was written"):
        world.land()


def test_a_truncated_archive_raises_an_error(world: World) -> None:
    world.publish("apple,1,")
    path = world.folder / "goods" / "goods.csv"
    with zipfile.ZipFile(world.folder / "goods.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("goods.csv", path.read_bytes() + b"".join(f"{word},1,\n".encode() for word in WORDS))
    path.write_bytes((world.folder / "goods.zip").read_bytes()[:-400])
    with pytest.raises(DeliveryIncompleteError, match=r"[Nn]othing"):
        world.land()
    assert world.query("SELECT count(*) FROM etl.delivery") == [(0,)]


def test_when_every_record_is_bad_nothing_is_written_and_nothing_is_quarantined(world: World) -> None:
    world.take("apple,1,")
    world.max_rejected = 0.5
    world.publish(*(f"{word},bad," for word in WORDS[:20]))
    with pytest.raises(TooManyRejectedError, match=r"amount__type \(20\).*Nothing of this batch.*etl-assets preview"):
        world.load(world.land().delivery)
    assert world.rows() == [("apple", 1, None)]
    assert world.waiting() == []
    assert world.violations() == []


def test_no_error_text_contains_the_contents_of_a_record(world: World) -> None:
    world.max_rejected = 0.0
    world.publish("secretword,topsecret,")
    with pytest.raises(TooManyRejectedError) as raised:
        world.load(world.land().delivery)
    assert "secret" not in str(raised.value)


def test_an_interrupted_delivery_is_finished_before_a_newer_one(world: World) -> None:
    world.publish(*(f"{word},1," for word in WORDS))
    first = world.land().delivery
    with pytest.raises(KeyboardInterrupt):
        world.load(first, ending_after(1))
    world.publish("apple,9,")
    world.land()
    from etl_assets.postgres.connection import connected
    from etl_assets.postgres.ledger import deliveries

    with connected(world.url) as connection:
        pending = deliveries.deliveries_to_load(connection, "goods", "")
    reports = [world.load(delivery) for delivery in pending]
    assert [report.status for report in reports] == ["resumed", "loaded"]
    assert len(world.rows()) == len(WORDS) + 1
    assert world.violations() == []


def test_a_changed_declaration_reloads_the_same_bytes(world: World) -> None:
    world.take("apple,3,fresh", "plum,4,")
    capped = replace(GOODS, columns=(GOODS["code"], GOODS["amount"].replace(maximum=3), GOODS["note"]))
    report = world.other(schema=capped).load(world.land().delivery)
    assert world.rows() == [("apple", 3, "fresh")]
    assert (report.delivery.generation, report.counts.rejected, report.counts.deleted) == (2, 1, 1)
    assert world.violations() == []


@dataclass(frozen=True)
class Reshape(Transformer):
    """Leaves out records without an amount, and makes two rows of each other record."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        import pandas as pd

        kept = frame[frame["amount"].notna()]
        twice = pd.concat([kept.assign(part="a"), kept.assign(part="b")]).sort_index(kind="stable")
        return twice[["code", "part", "amount"]]


@dataclass(frozen=True)
class LosesIndex(Transformer):
    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.assign(part="a")[["code", "part", "amount"]].reset_index(drop=True)
        frame.index += 1000
        return frame


PARTS = Schema(
    columns=(
        GOODS["code"],
        Column("part", "text", required=True, derived=True),
        Column("amount", "integer"),
    ),
    key=("code", "part"),
    ignored=("note",),
)


def test_a_transformer_may_leave_records_out_and_make_several_rows_of_one(world: World) -> None:
    world.schema, world.more = PARTS, {"transformer": Reshape()}
    report = world.take("apple,3,", "plum,,", "Bad,1,")
    assert world.rows() == [("apple", "a", 3), ("apple", "b", 3)]
    counts = report.counts
    assert (counts.read, counts.rejected, counts.filtered, counts.accepted, counts.produced) == (3, 1, 1, 1, 2)
    assert world.violations() == []


def test_a_transformer_that_loses_the_index_raises_an_error(world: World) -> None:
    world.schema, world.more = PARTS, {"transformer": LosesIndex()}
    world.publish("apple,3,")
    with pytest.raises(TransformError, match="Keep the index"):
        world.load(world.land().delivery)


def test_an_impossible_format_is_a_declaration_error() -> None:
    with pytest.raises(DeclarationError, match="delimiter"):
        Csv(delimiter="")


def test_a_session_that_ends_while_a_delivery_is_entered_raises_an_error_and_a_retry_succeeds(world: World) -> None:
    world.publish("apple,3,fresh")
    with connected(world.url) as connection:
        connection.execute(
            "CREATE FUNCTION etl.break_off() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'"
        )
        connection.execute(
            "CREATE TRIGGER break_off BEFORE INSERT ON etl.delivery FOR EACH ROW EXECUTE FUNCTION etl.break_off()"
        )
        with pytest.raises(TransientLoadError, match="entering a delivery of goods"):
            world.land()
        connection.execute("DROP TRIGGER break_off ON etl.delivery")
    assert world.land().new
