"""Writes the file of a source from what was inferred: Python that a person reads, completes and owns."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from etl_assets.extract.access.http import Http
from etl_assets.extract.location import without_secrets
from etl_assets.infer.keys import can_identify, may_be_measure
from etl_assets.infer.python import argument, call, class_names, text_of, written
from etl_assets.infer.recognised import as_sentence
from etl_assets.model.text import escape_control_characters, names_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.infer.columns import InferredColumn
    from etl_assets.infer.file import File
    from etl_assets.infer.recognised import Recognised
    from etl_assets.infer.sample import Sample
    from etl_assets.model.secret import Secret

_WIDTH: Final = 120
_INDENT: Final = " " * 12
_MOST_MEMBERS: Final = 5
_NEAR: Final = 0.9
"""A column with so many different values for each record may be the key of a file in which some records are twice."""


@dataclass(frozen=True)
class Inference:
    """Everything that was inferred of a file.

    Attributes:
        name: Of the source.
        file: The file.
        recognised: Its format.
        sample: Its records.
        columns: Its columns.
        keys: Candidates for the key, the likeliest first; empty if nothing identifies a record.
        password: Of an encrypted archive or workbook.
    """

    name: str
    file: File
    recognised: Recognised
    sample: Sample
    columns: Sequence[InferredColumn]
    keys: Sequence[tuple[str, ...]]
    password: Secret | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The key to declare, the likeliest candidate; empty if no columns identify a record."""
        return self.keys[0] if self.keys else ()

    @property
    def key_is_open(self) -> bool:
        """Whether the file does not show what identifies a record."""
        return not self.keys or self.sample.frame.height == 1 or bool(self.measures_in_key)

    @property
    def measures_in_key(self) -> list[str]:
        """Columns of the key with integers that may be measures, which only happen to differ."""
        return [
            column.column.name for column in self.columns if column.column.name in self.key and may_be_measure(column)
        ]


def declaration(inference: Inference) -> str:
    """Return the file of the source."""
    names = {"Column", "Schema", "Source"}
    by = inference.file.by
    if by is None:
        names |= {"FileExtractor", *class_names(inference.recognised.format)}
    if inference.file.private:
        names.add("Http")
    if inference.password is not None:
        names.add("Secret")
    if not inference.key:
        names.add(_keyless_mode(inference))
    one_line = f"from etl_assets import {', '.join(sorted(names))}"
    lines = [one_line] if len(one_line) <= _WIDTH else _lines_of_import(sorted(names))
    if by is not None:
        own = "EXTRACTOR" if by.partitions is None else "EXTRACTOR, PARTITIONS"
        lines += ["", f"from .{by.path.stem} import {own}"]
    return "\n".join(
        [
            *_docstring(inference),
            "",
            *lines,
            "",
            "SOURCE = Source(",
            f"    name={text_of(inference.name)},",
            "    description=__doc__,",
            '    owner="team:unknown",  # Who is responsible?',
            *_extractor(inference),
            "    schema=Schema(",
            "        columns=(",
            *(line for inferred in inference.columns for line in _column(inferred, inference)),
            "        ),",
            *_key(inference),
            "    ),",
            *(["    partitions=PARTITIONS,"] if by and by.partitions else []),
            *_write(inference),
            *_max_rejected(inference),
            ")",
            "",
        ]
    )


def _lines_of_import(names: Sequence[str]) -> list[str]:
    return ["from etl_assets import (", *(f"    {name}," for name in names), ")"]


def _docstring(inference: Inference) -> Iterator[str]:
    sample, file = inference.sample, inference.file
    records = "record" if sample.records == 1 else f"{sample.records:,} records"
    read = f"{'the only' if sample.records == 1 else 'all'} {records}" if sample.whole else f"the first {records}"
    yield f'"""{_in_docstring(inference.name)}: what is this feed, and who publishes it?'
    yield ""
    member = f", member {_in_docstring(file.member)}" if file.member else ""
    text = (
        f"This was inferred from {read} of {_in_docstring(file.name)}{member}. It accepts each record"
        f"{' but those that are counted below' if sample.malformed else ''}. Whether it is right, a person decides: "
        "each comment is what was seen, or a question."
    )
    yield from textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    yield '"""'


def _in_docstring(text: str) -> str:
    return escape_control_characters(text).replace("\\", "\\\\").replace('"', "'")


def _extractor(inference: Inference) -> Iterator[str]:
    file, recognised = inference.file, inference.recognised
    for doubt in recognised.doubts:
        yield from _question(doubt, "    ")
    for other in recognised.others:
        yield from _comment(f"The file also has {other}.", "    ")
    if inference.sample.malformed:
        broken = ", ".join(f"{rule} {count:,}" for rule, count in inference.sample.malformed.items())
        yield from _comment(f"Malformed records, which are rejected: {broken}.", "    ")
    if file.by is not None:
        yield "    extractor=EXTRACTOR,"
        return
    yield "    extractor=FileExtractor("
    yield from _location(file)
    yield from written(argument("format", recognised.format), "        ")
    if file.others:
        shown = names_text(file.others[:_MOST_MEMBERS])
        yield from _comment(f"{len(file.others):,} smaller members of the archive match, too: {shown}.", "        ")
    if file.pattern != "*":
        yield from written(argument("member", file.pattern), "        ")
    if file.private:
        yield from written(argument("access", Http(private=True)), "        ")
    if inference.password is not None and file.member:
        yield from written(argument("password", inference.password), "        ")
    yield "    ),"


def _location(file: File) -> Iterator[str]:
    """Write the location, without what may be secret in a URL."""
    shown = without_secrets(file.location)
    if shown == escape_control_characters(file.location):
        yield f"        location={text_of(file.location)},"
        return
    yield from _comment(
        "User, password and query of the URL are left out, because they may be secret: access= declares a login "
        "with Secret('NAME').",
        "        ",
    )
    yield f"        location={text_of(shown.removesuffix('?…'))},"


def _column(inferred: InferredColumn, inference: Inference) -> Iterator[str]:
    yield from _comment(inferred.evidence[:1].upper() + inferred.evidence[1:] + ".", _INDENT)
    for doubt in inferred.doubts:
        yield from _question(doubt, _INDENT)
    column = inferred.column
    arguments = [text_of(column.name), text_of(column.type.name)]
    if column.name in inference.key:
        arguments.append("required=True")
        if inferred.nulls:
            arguments.append(f"default={text_of(_free_default(inferred, inference))}")
            yield from _comment("A key needs a value where there is none.", _INDENT)
    without = {"allowed"} if inferred.nulls and column.name in inference.key else set()
    named = [argument(name, value) for name, value in column.arguments.items() if name not in without]
    yield from written(call("Column", [*arguments, *named]), _INDENT)


def _free_default(inferred: InferredColumn, inference: Inference) -> str:
    """Return a text that is no value of the column."""
    values = set(inference.sample.frame.get_column(inferred.published).drop_nulls().to_list())
    return next(text for text in map("-".__mul__, count(1)) if text not in values and text not in inferred.column.null)


def _key(inference: Inference) -> Iterator[str]:
    if inference.sample.frame.height == 1:
        yield from _comment("One record does not show which columns identify a record. Which do?", "        ")
    elif not inference.keys:
        nearest = _nearest_key(inference)
        yield from _comment(f"No columns, up to three together, identify a record{nearest}. Which do?", "        ")
    for other in inference.keys[1:]:
        shown = ", ".join(other)
        yield from _comment(f"These identify a record, too: {shown}.", "        ")
    if inference.sample.frame.height > 1 and (measures := inference.measures_in_key):
        same = f"{names_text(measures)} may count or measure something, so that two records can have the same"
        yield from _question(f"{same}. Then only the last one stays. Is this the key?", "        ")
    if inference.key:
        yield from written(argument("key", inference.key), "        ")
    if "" in inference.sample.frame.columns and "" not in inference.sample.names:
        yield from _comment("The column without a name numbers the records, or is empty.", "        ")
        yield '        ignored=("",),'


def _nearest_key(inference: Inference) -> str:
    """Return, as a part of a sentence, the column that is nearest to identify a record; empty if none is near."""
    records = inference.sample.frame.height
    able = [inferred for inferred in inference.columns if can_identify(inferred) and not inferred.nulls]
    nearest = max(able, key=lambda inferred: inferred.distinct, default=None)
    if nearest is None or nearest.distinct < _NEAR * records:
        return ""
    return f"; {nearest.column.name} nearly does, with {nearest.distinct:,} values in {records:,} records"


def _keyless_mode(inference: Inference) -> str:
    """Return the write mode that loses no record without a key."""
    by = inference.file.by
    return "Append" if by is not None and by.extractor.delivers_changes else "Replace"


def _write(inference: Inference) -> Iterator[str]:
    """Write the mode of a table without a key, which keeps every record."""
    if inference.key:
        return
    mode = _keyless_mode(inference)
    text = "Without a key the table has the records of the newest delivery, as they are."
    if mode == "Append":
        text = "Without a key every record that is fetched is added, also one that was fetched before."
    yield from _comment(f"{text} With a key, leave write= out.", "    ")
    yield f"    write={mode}(),"


def _max_rejected(inference: Inference) -> Iterator[str]:
    rejected = inference.sample.records - inference.sample.frame.height
    if rejected:
        share = -(-rejected * 100 // inference.sample.records) / 100
        yield from _comment(f"{rejected:,} of {inference.sample.records:,} records are malformed.", "    ")
        yield f"    max_rejected={share},"


def _question(doubt: str, indent: str) -> Iterator[str]:
    """Write what a person must decide. The command counts these."""
    yield from _comment(as_sentence(doubt), indent)


def _comment(text: str, indent: str) -> Iterator[str]:
    plain = escape_control_characters(text)
    for line in textwrap.wrap(plain, _WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False):
        yield f"{indent}# {line}"
