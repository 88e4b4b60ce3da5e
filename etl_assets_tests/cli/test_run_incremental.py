"""`run` of sources whose fetches begin where the one before ended: which partitions are run, and what is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.apis import Api, Reply

if TYPE_CHECKING:
    from etl_assets_tests.apis import Asked
    from etl_assets_tests.cli.desk import Desk

SALES = """
from datetime import date, timedelta

from etl_assets import Column, Daily, Http, Incremental, Json, RestExtractor, Schema, Source, Static

SOURCE = Source(
    name="sales",
    description="What is sold.",
    owner="team:tests",
    extractor=RestExtractor(
        Json("$.items"),
        "{url}",
        params={{"since": "{{since:%Y-%m-%d}}", "of": "{{key}}"}},
        incremental=Incremental("day", timedelta(days=1), type="date"),
        access=Http(private=True),
    ),
    schema=Schema(
        columns=(
            Column("shop", "text", required=True),
            Column("day", "date", required=True),
        ),
        key=("shop", "day"),
    ),
    partitions={partitions},
)
"""


def answer(asked: Asked) -> Reply:
    return Reply({"items": [{"shop": asked.params["of"], "day": "2026-01-02"}]})


@pytest.mark.parametrize(
    ("partitions", "again"),
    [
        ('Static(("north", "south"))', ["north 2026-01-01", "south 2026-01-01"]),
        ("Daily(date(2026, 1, 1), date(2026, 1, 3))", []),
    ],
)
def test_complete_partitions_are_run_again_unless_each_is_a_time_that_is_over(
    partitions: str, again: list[str], desk: Desk
) -> None:
    with Api(answer) as api:
        (desk.folder / "declared" / "sales.py").write_text(SALES.format(url=api.url(), partitions=partitions))
        desk.succeed("migrate")
        desk.succeed("run", "sales")
        assert [asked.params.get("since") for asked in api.asked] == [None, None]
        api.asked.clear()
        desk.succeed("run", "sales")
        assert [f"{asked.params['of']} {asked.params.get('since')}" for asked in api.asked] == again
        api.asked.clear()
        shown = desk.succeed("run", "sales", "--full")
        assert [asked.params.get("since") for asked in api.asked] == [None, None]
        assert "sales" in shown


def test_what_people_should_know_of_a_fetch_is_printed_below_the_table(desk: Desk) -> None:
    with Api(lambda asked: Reply({"items": []})) as api:  # noqa: ARG005 -- nothing is sold
        (desk.folder / "declared" / "sales.py").write_text(SALES.format(url=api.url(), partitions='Static(("north",))'))
        desk.succeed("migrate")
        assert "sales north: The API has no record." in desk.succeed("run", "sales")
