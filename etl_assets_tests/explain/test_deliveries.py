"""The story of a delivery: what was fetched, how it was loaded, and what came of it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Snapshot
from etl_assets.explain import stories
from etl_assets.postgres.connection import connected
from etl_assets.postgres.explain import stories as facts
from etl_assets.postgres.ledger import decisions
from etl_assets_tests.explain.asked import story_of
from etl_assets_tests.ingest.world import ending_after

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World


def test_a_story_has_the_file_its_digest_and_its_neighbours(world: World) -> None:
    for number in range(3):
        world.take(f"a,{number},")
    facts = story_of(world, 2).facts
    assert (facts.name, facts.status, facts.records, facts.batches) == ("goods.csv", "complete", 1, 1)
    assert (facts.previous, facts.next) == (1, 3)
    assert facts.size == len("code,amount,note\na,1,\n")
    assert (story_of(world, 1).facts.previous, story_of(world, 3).facts.next) == (None, None)


def test_the_counts_add_up(world: World) -> None:
    world.take("a,1,", "b,1,")
    world.take("a,1,", "b,2,", "c,x,", "d,4,", "d,4,")
    story = story_of(world, 2)
    assert story.sums == [
        "5 read = 4 accepted + 1 rejected + 0 filtered",
        "4 rows = 1 inserted + 1 updated + 1 unchanged + 1 duplicate + 0 expired",
    ]
    assert story.problems == []
    assert (story.by_rule, story.by_status) == ({"amount__type": 1}, {"open": 1})


def test_counts_that_do_not_add_up_are_a_problem(world: World) -> None:
    world.take("a,1,", "b,1,")
    with connected(world.url) as connection:
        connection.execute("UPDATE etl.delivery SET records = 3")
    (problem,) = story_of(world, 1).problems
    assert problem.startswith("The ledger has 1 batches with 2 records; the delivery has 1 with 3.")


def test_a_delivery_that_is_loaded_in_part_says_how_much(world: World) -> None:
    world.publish(*(f"{'abcdefgh'[number % 8] * (number // 8 + 1)},{number},{'x' * 200}" for number in range(64)))
    delivery = world.land().delivery
    with suppress(KeyboardInterrupt):
        world.load(delivery, ending_after(1))
    story = story_of(world, delivery.id)
    assert story.facts.status == "loading"
    assert story.problems == [f"1 of {story.facts.batches} batches are loaded; its next run goes on with the others."]


def test_a_delivery_of_another_declaration_is_to_be_reloaded(world: World) -> None:
    world.take("a,1,")
    assert story_of(world, 1).declared_as_now
    with connected(world.url) as connection:
        (story,) = stories(connection, [1], {"goods": "another"})
        (undeclared,) = stories(connection, [1], {})
    assert story.problems == ["It is to be reloaded; its next run does so."]
    assert (undeclared.declared_as_now, undeclared.problems) == (None, [])


def test_rows_that_a_delivery_deleted_are_counted(world: World) -> None:
    whole = world.other(more={"write": Snapshot(max_deleted=1.0)})
    whole.take("a,1,", "b,1,", "c,1,")
    whole.take("b,1,")
    assert (story_of(whole, 1).deleted, story_of(whole, 2).deleted) == (0, 2)


def test_corrections_are_counted_by_the_person_who_made_them(world: World) -> None:
    world.take("a,x,", "b,x,", "c,1,")
    for record in world.waiting():
        world.correct(record, amount="1")
    world.replay(1)
    (correction,) = story_of(world, 1).corrections
    assert (correction.reviewer, correction.records, correction.counting) == ("ada", 2, 1)
    with connected(world.url) as connection:
        decisions.dismiss(connection, [2], "eve", None)
    assert [each.records for each in story_of(world, 1).corrections] == [1]


def test_changes_of_what_is_published_belong_to_the_delivery_that_opened_them(world: World) -> None:
    world.take("a,1,")
    world.take("a,1,,x", header="code,amount,note,more")
    world.take("a,2,")
    opened, closed = story_of(world, 2), story_of(world, 3)
    assert [(change.kind, change.opened) for change in opened.changes] == [("added", True)]
    assert [(change.id, change.opened) for change in closed.changes] == [(opened.changes[0].id, False)]


def test_several_stories_are_read_at_once_in_the_order_that_was_asked_for(world: World) -> None:
    for number in range(3):
        world.take(f"a,{number},", "b,x,")
    with connected(world.url) as connection:
        found = stories(connection, [3, 1, 99], {})
    assert [story.facts.id for story in found] == [3, 1]
    assert [story.by_status for story in found] == [{"open": 1}, {"repeated": 1}]


@pytest.mark.parametrize("read", [facts.runs, facts.checks])
def test_runs_and_checks_are_found_without_reading_those_of_other_deliveries(world: World, read: Any) -> None:
    world.take("a,1,x")
    with connected(world.url) as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")  # the tables are small, so that it would be chosen
        read(connection, [1])
        read_whole = connection.execute(
            "SELECT relname FROM pg_stat_xact_user_tables WHERE schemaname = 'etl' AND seq_scan > 0 "
            "AND relname IN ('run', 'check_result')"
        ).fetchall()
    assert read_whole == []


def test_the_role_of_readers_may_read_all_but_decisions_and_deletions(world: World, reader: str) -> None:
    world.take("a,1,", "b,x,")
    story = story_of(world, 1, reader)
    assert [sentence.partition(":")[0] for sentence in story.left_out] == [
        "Corrections and who made them (etl.rejected)",
        "Deletions (etl.deletion)",
    ]
    assert (story.deleted, story.by_rule) == (None, {"amount__type": 1})
