"""``python -m etl_assets_tests.chaos``: carries out trials and variants, and prints what they found."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from typing import TYPE_CHECKING, get_args

from etl_assets_tests.chaos.history import Mode
from etl_assets_tests.chaos.random_histories import random_history
from etl_assets_tests.chaos.report import DOCUMENT, Caught, Report, shown, with_results
from etl_assets_tests.chaos.server import server
from etl_assets_tests.chaos.trial import carry_out
from etl_assets_tests.chaos.variants import SEEDS_OF_A_VARIANT, VARIANTS

if TYPE_CHECKING:
    from etl_assets_tests.chaos.server import Server
    from etl_assets_tests.chaos.variants import Variant


def main() -> int:
    """Carry out what the command line names; return 0 if everything is as it must be."""
    arguments = _arguments()
    report = Report(arguments.seed)
    gc.freeze()
    with server() as owned:
        _try(arguments, owned, report)
        for variant in VARIANTS:
            if variant.name in arguments.variants or "all" in arguments.variants:
                report.caught.append(catch(variant, arguments.seed, owned))
    _print(report.tables())
    if arguments.write:
        DOCUMENT.write_text(with_results(DOCUMENT.read_text("utf-8"), report), "utf-8")
    return 0 if report.is_good and report.faulted.total() >= arguments.at_least else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--trials", type=int, default=0, help="how many trials")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no trial after so many seconds")
    parser.add_argument("--at-least", type=int, default=0, help="go on until so many runs have met a fault")
    parser.add_argument("--variants", nargs="*", default=[], help="names of variants to catch, or all")
    parser.add_argument("--modes", nargs="*", default=[], choices=get_args(Mode), help="only these write modes")
    parser.add_argument("--write", action="store_true", help=f"write the results into {DOCUMENT.name}")
    parser.add_argument("--verbose", action="store_true", help="a line for each trial")
    return parser.parse_args()


def _try(arguments: argparse.Namespace, owned: Server, report: Report) -> None:
    """Carry out the trials."""
    while report.seconds < arguments.seconds and (
        report.trials < arguments.trials or report.faulted.total() < arguments.at_least
    ):
        seed = arguments.seed + report.trials
        outcome = carry_out(random_history(seed, modes=tuple(arguments.modes), in_dagster=seed % 40 == 39), owned)
        report.add(outcome)
        if arguments.verbose:
            met = outcome.faulted.total()
            source = f"{outcome.history.cut} {outcome.history.mode}"
            _print(f"{seed} {source} {outcome.seconds:.1f} s, {outcome.runs} runs, {met} with faults")
        if outcome.violations:
            _print(shown(outcome))


def catch(variant: Variant, seed: int, owned: Server) -> Caught:
    """Try seeds until one catches a variant."""
    began = time.perf_counter()
    for tried in range(1, SEEDS_OF_A_VARIANT + 1):
        history = random_history(
            seed + tried, variant.focus, variant.cuts, variant.modes, in_dagster=variant.in_dagster
        )
        for violation in carry_out(history, owned, variant.install).violations:
            if variant.sign in violation:
                return Caught(variant.name, tried, violation, time.perf_counter() - began)
    return Caught(variant.name, SEEDS_OF_A_VARIANT, "", time.perf_counter() - began)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
