"""What a replay would do with corrected records, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.cli.quarantine.records import requirement
from etl_assets.cli.terminal import console

if TYPE_CHECKING:
    from etl_assets.ingest.correcting import Corrected
    from etl_assets.ingest.judging import Judge
    from etl_assets.source import Source


def judgement_text(source: Source, result: Corrected) -> str:
    """Return what a replay would do with a record, as a sentence with the rules that it still breaks."""
    judgement = result.judgement
    if judgement is None:
        return "Nobody has judged it."
    if judgement.rules:
        broken = "; ".join(f"{rule} requires that {requirement(source, rule)}" for rule in judgement.rules)
        return f"It is still rejected: {broken}."
    return (
        "A replay would leave it out: the transformer filters it." if judgement.filtered else "A replay would load it."
    )


def not_looked_up(judge: Judge) -> None:
    """Print in which tables it was not looked up whether rows exist, if there are such tables."""
    if judge.not_read:
        console().print(
            f"Whether rows that it refers to exist, or values are taken, was not looked up: this user may not read "
            f"{', '.join(judge.not_read)}.",
            markup=False,
        )
