"""No error contains the contents of records: neither its text nor the traceback that Python shows."""

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
    """Fails in a named way, with the contents of records in its own error."""

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
    """Return the error of a load as a log shows it, with its causes."""
    with pytest.raises(EtlAssetsError) as raised:
        world.load(world.land().delivery)
    return "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("how", ["raises", "casts", "mixes", "indexes"])
def test_an_error_of_a_transformer_does_not_show_values(world: World, how: str) -> None:
    world.more = {"transformer": Fails(how)}
    world.publish(f"apple,3,{SECRET}", f"plum,4,{SECRET}", f"fig,5,{SECRET}")
    assert SECRET not in shown(world)


@pytest.mark.parametrize("sensitive", [True, False])
def test_an_error_about_broken_rules_does_not_show_values(world: World, *, sensitive: bool) -> None:
    hidden = Column("note", "text", sensitive=sensitive, length=3)
    world.schema = replace(GOODS, columns=(*GOODS.columns[:2], hidden))
    world.max_rejected = 0.0
    world.publish(f"apple,3,{SECRET}", f"{SECRET}1,4,x", f"plum,{SECRET},x")
    assert SECRET not in shown(world)


def test_an_error_of_the_database_does_not_show_values(world: World) -> None:
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
