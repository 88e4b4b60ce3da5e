"""A large first delivery, loaded by several processes at once.

Each takes a run of consecutive batches, with a lock, a fence and transactions of its own; the ledger is common. A table
that holds rows already is loaded by one process: what comes is then mostly unchanged, and one is enough.
"""

from __future__ import annotations

import multiprocessing
import pickle
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError, EtlAssetsError, LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection as Pipe

    from etl_assets.load.base import OpenBatches, Target
    from etl_assets.model.delivery import Delivery

    LoadShare = Callable[[str, str, str, Target, Delivery, OpenBatches], None]
    Share = tuple[str, frozenset[int]]


def shares(missing: Sequence[int], processes: int) -> list[Share]:
    """Runs of consecutive batch numbers, as even as can be; each with a name for its lock."""
    size, rest = divmod(len(missing), processes)
    cut: list[Share] = []
    start = 0
    for number in range(processes):
        end = start + size + (number < rest)
        if end > start:
            cut.append((share_name(number + 1), frozenset(missing[start:end])))
        start = end
    return cut


def share_name(number: int) -> str:
    """What the share of that number, from 1, adds to the name of its partition, for its lock."""
    return f"#{number}"


def load_shares(
    load_share: LoadShare,
    url: str,
    run_id: str,
    target: Target,
    delivery: Delivery,
    open_batches: OpenBatches,
    cut: Sequence[Share],
) -> None:
    """Load each share in a process of its own, and wait for all.

    Args:
        load_share: Loads the batches that it can open; a function of a module.
        url: Of the warehouse; goes through the pipe that starts a process, not on its command line.
        run_id: Of the run.
        target: Where the rows go.
        delivery: Begun by the caller, who holds its lock until all have ended.
        open_batches: Opens the delivery's batches; must be able to travel to another process.
        cut: From `shares`.

    Raises:
        EtlAssetsError: What the first process to fail raised; batches that were committed stay.
    """
    try:
        luggage = pickle.dumps((load_share, run_id, target, delivery, open_batches))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise DeclarationError(
            f"source {delivery.source!r}",
            "slices",
            f"need a declaration that can travel to another process ({error})",
            "Use named functions of an importable package instead of lambdas, or slices=1",
        ) from error
    context = multiprocessing.get_context("spawn")
    running = []
    for name, numbers in cut:
        here, there = context.Pipe(duplex=False)
        others = frozenset(span.batch for span in delivery.manifest.spans) - numbers
        process = context.Process(target=_work, args=(luggage, url, name, others, there), name=f"slice {name}")
        process.start()
        there.close()
        running.append((process, here))
    failures = [_outcome(here) for _, here in running]
    for process, _ in running:
        process.join()
    for failure in filter(None, failures):
        raise failure


def _outcome(pipe: Pipe) -> EtlAssetsError | None:
    """What a process says at its end: nothing, or its error."""
    try:
        error: EtlAssetsError | None = pipe.recv()
    except EOFError:
        return LoadError(
            "A process that loaded a slice was ended from outside. Its open batch was rolled back; batches before it "
            "stay. Run it again: it goes on from there."
        )
    return error


def _work(luggage: bytes, url: str, name: str, others: frozenset[int], pipe: Pipe) -> None:
    load_share, run_id, target, delivery, open_batches = pickle.loads(luggage)  # noqa: S301 -- packed by the parent
    try:
        load_share(url, run_id, name, target, delivery, lambda done: open_batches(done | others))
    except EtlAssetsError as error:
        pipe.send(error)
    else:
        pipe.send(None)
