"""What records hold stands in no error: neither in its text nor in what Python shows beside it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from etl_assets.errors import EtlAssetsError
from etl_assets.schema import Column
from etl_assets.transform import Transformer
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    import pandas as pd

    from etl_assets_tests.ingest.world import World

SECRET = "topsecret"


@dataclass(frozen=True)
class Fails(Transformer):
    """Says what it has seen, in the way that is named."""

    how: str

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        match self.how:
            case "raises":
                raise ValueError(f"cannot bear {frame['note'].iloc[0]}")
            case "casts":
                return frame.assign(amount=frame["note"].astype("int64"))
            case "mixes":
                mixed = [1.5, *frame["note"].iloc[1:]]
                return frame.assign(note=mixed)
            case _:
                return frame.set_index("note", drop=False)


def shown(world: World) -> str:
    """An error as a log would have it, with its causes."""
    with pytest.raises(EtlAssetsError) as raised:
        world.load(world.land().delivery)
    return "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("how", ["raises", "casts", "mixes", "indexes"])
def test_what_a_transformer_stumbles_over_is_not_told(world: World, how: str) -> None:
    world.more = {"transformer": Fails(how)}
    world.publish(f"apple,3,{SECRET}", f"plum,4,{SECRET}", f"fig,5,{SECRET}")
    assert SECRET not in shown(world)


@pytest.mark.parametrize("sensitive", [True, False])
def test_what_breaks_a_rule_is_not_told(world: World, *, sensitive: bool) -> None:
    hidden = Column("note", "text", sensitive=sensitive, length=3)
    world.schema = replace(GOODS, columns=(*GOODS.columns[:2], hidden))
    world.max_rejected = 0.0
    world.publish(f"apple,3,{SECRET}", f"{SECRET}1,4,x", f"plum,{SECRET},x")
    assert SECRET not in shown(world)


def test_what_the_database_refuses_is_not_told(world: World) -> None:
    world.take("apple,3,x")
    from etl_assets.postgres.connection import connected

    with connected(world.url) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no %', NEW.note; END $$"
        )
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON core.goods FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    world.publish(f"plum,4,{SECRET}")
    assert SECRET not in shown(world)
