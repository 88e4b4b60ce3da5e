"""Fuzzes one target, or all of them, for some seconds each."""

from __future__ import annotations

import hashlib
import sys
import time
import traceback
from pathlib import Path
from random import Random

import click

CASES = Path(__file__).parent / "cases"


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--seconds", default=30.0, show_default=True, help="For each target.")
@click.option("--seed", default=0, show_default=True)
@click.option("--coverage", is_flag=True, help="Let atheris look for inputs that reach new code; of one target only.")
def main(names: tuple[str, ...], seconds: float, seed: int, *, coverage: bool) -> None:
    """Fuzz the targets; exit with 1 if an invariant is broken."""
    if coverage:
        _with_atheris(names[0], seconds)
    from etl_assets_tests.fuzz.targets import TARGETS

    broken = sum(_fuzz(name, seconds, seed) for name in names or TARGETS)
    sys.exit(1 if broken else 0)


def _fuzz(name: str, seconds: float, seed: int) -> bool:
    """Return whether an invariant of a target is broken; write the first such input to its cases."""
    from etl_assets_tests.fuzz.invariants import examine
    from etl_assets_tests.fuzz.mutations import mutated
    from etl_assets_tests.fuzz.targets import TARGETS

    target, end, count, read = TARGETS[name], time.monotonic() + seconds, 0, 0
    for data in mutated(target.samples, Random(seed)):  # noqa: S311 -- no secret
        if time.monotonic() > end:
            break
        try:
            read += examine(target.format, data) >= 0
        except Exception:  # noqa: BLE001 -- whatever it is, it is what is looked for
            click.echo(f"{name}: input {count} breaks an invariant\n{traceback.format_exc()}")
            keep(name, data)
            return True
        count += 1
    click.echo(f"{name}: {count:,} inputs, {read:,} read, the others refused")
    return False


def keep(name: str, data: bytes) -> None:
    """Write an input to the cases of a target."""
    folder = CASES / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


def _with_atheris(name: str, seconds: float) -> None:
    """Fuzz a target, led by the coverage of the package; does not return."""
    import atheris

    with atheris.instrument_imports(include=["etl_assets"]):  # so that nothing of it may be imported before
        from etl_assets_tests.fuzz.invariants import examine
        from etl_assets_tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    corpus = CASES.parent / ".corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(target.samples):
        (corpus / f"sample-{number}").write_bytes(sample)

    def test(data: bytes) -> None:
        try:
            examine(target.format, data)
        except Exception:
            keep(name, data)
            raise

    atheris.Setup([sys.argv[0], str(corpus), f"-max_total_time={int(seconds)}", "-max_len=4096"], test)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
