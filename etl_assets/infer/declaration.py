"""Writes the file of a source from what was inferred: Python that a person reads, completes and owns."""

from __future__ import annotations

import textwrap
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Format
    from etl_assets.infer.columns import InferredColumn
    from etl_assets.infer.recognised import Recognised
    from etl_assets.infer.sample import File, Sample

_WIDTH: Final = 120
_INDENT: Final = " " * 12


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
        references: Likely references, each column name to a text.
    """

    name: str
    file: File
    recognised: Recognised
    sample: Sample
    columns: Sequence[InferredColumn]
    keys: Sequence[tuple[str, ...]]
    references: Mapping[str, str]

    @property
    def key(self) -> tuple[str, ...]:
        """The key to declare: the likeliest candidate, or all columns."""
        return self.keys[0] if self.keys else tuple(inferred.column.name for inferred in self.columns)


def declaration(inference: Inference) -> str:
    """Return the file of the source."""
    names = sorted({"Column", "FileExtractor", "Schema", "Source", *_class_names(inference.recognised.format)})
    return "\n".join(
        [
            *_docstring(inference),
            "",
            *_wrapped_import(names),
            "",
            "SOURCE = Source(",
            f"    name={_quoted(inference.name)},",
            "    description=__doc__,",
            '    owner="team:unknown",  # Who is responsible?',
            *_extractor(inference),
            "    schema=Schema(",
            "        columns=(",
            *(line for inferred in inference.columns for line in _column(inferred, inference)),
            "        ),",
            *_key(inference),
            "    ),",
            *_max_rejected(inference),
            ")",
            "",
        ]
    )


def expression(value: Any) -> str:
    """Return Python for a declared value, without arguments that have their defaults."""
    if hasattr(value, "__dataclass_fields__"):
        given = (
            (field.name, getattr(value, field.name))
            for field in fields(value)
            if field.init and getattr(value, field.name) != _default(field)
        )
        return f"{type(value).__name__}({', '.join(f'{name}={expression(part)}' for name, part in given)})"
    if isinstance(value, tuple):
        parts = ", ".join(expression(part) for part in value)
        return f"({parts},)" if len(value) == 1 else f"({parts})"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _quoted(text: str) -> str:
    """Return a text in double quotes if it contains none, as the formatter writes it."""
    return repr(text) if '"' in text else '"' + repr(text)[1:-1].replace("\\'", "'") + '"'


def _class_names(format_: Format) -> set[str]:
    found = {type(format_).__name__}
    for field in fields(format_):
        parts = getattr(format_, field.name)
        for part in parts if isinstance(parts, tuple) else (parts,):
            if hasattr(part, "__dataclass_fields__"):
                found |= _class_names(part)
    return found


def _wrapped_import(names: Sequence[str]) -> list[str]:
    return [f"from etl_assets import {', '.join(names)}"]


def _docstring(inference: Inference) -> Iterator[str]:
    sample, file = inference.sample, inference.file
    read = f"all {sample.records:,} records" if sample.whole else f"the first {sample.records:,} records"
    yield f'"""{inference.name}: what is this feed, and who publishes it?'
    yield ""
    shown = escape_control_characters(file.name).replace("\\", "\\\\").replace('"', "'")
    member = escape_control_characters(file.member).replace("\\", "\\\\").replace('"', "'")
    text = (
        f"`etl-assets infer` wrote this from {read} of {shown}{f', member {member}' if member else ''}. It accepts "
        "them all. Whether it is right, a person decides: each comment is what was seen, or a question."
    )
    yield from textwrap.wrap(text, _WIDTH)
    yield '"""'


def _extractor(inference: Inference) -> Iterator[str]:
    file, recognised = inference.file, inference.recognised
    for doubt in recognised.doubts:
        yield from _comment(f"{doubt}.", "    ")
    for other in recognised.others:
        yield from _comment(f"The file also has {other}.", "    ")
    if inference.sample.malformed:
        broken = ", ".join(f"{rule} {count:,}" for rule, count in sorted(inference.sample.malformed.items()))
        yield from _comment(f"Malformed records, which are rejected: {broken}.", "    ")
    yield "    extractor=FileExtractor("
    yield f"        location={_quoted(file.location)},"
    yield from _broken_lines(f"        format={expression(recognised.format)},", "        ")
    if file.member:
        if file.members > 1:
            yield from _comment(f"{file.members} members of the archive match; this is the first.", "        ")
        yield f"        member={_quoted(file.member)},"
    yield "    ),"


def _column(inferred: InferredColumn, inference: Inference) -> Iterator[str]:
    yield from _comment(inferred.evidence[:1].upper() + inferred.evidence[1:] + ".", _INDENT)
    for doubt in inferred.doubts:
        yield from _comment(doubt[:1].upper() + doubt[1:] + ".", _INDENT)
    if (reference := inference.references.get(inferred.column.name)) is not None:
        yield from _comment(reference, _INDENT)
    column = inferred.column
    arguments = [_quoted(column.name), _quoted(column.type.name)]
    if column.name in inference.key:
        arguments.append('default="-"' if inferred.nulls else "required=True")
        if inferred.nulls:
            yield from _comment("A key needs a value where there is none.", _INDENT)
    arguments += [f"{name}={expression(value)}" for name, value in column.arguments.items()]
    yield from _broken_lines(f"{_INDENT}Column({', '.join(arguments)}),", _INDENT)


def _key(inference: Inference) -> Iterator[str]:
    if not inference.keys:
        yield from _comment("No columns, up to three together, identify a record. Which do?", "        ")
    for other in inference.keys[1:]:
        yield from _comment(f"These identify a record, too: {expression(other)}.", "        ")
    yield from _broken_lines(f"        key={expression(inference.key)},", "        ")
    if "" in inference.sample.frame.columns:
        yield '        ignored=("",),'


def _max_rejected(inference: Inference) -> Iterator[str]:
    rejected = inference.sample.records - inference.sample.frame.height
    if rejected:
        share = -(-rejected * 100 // inference.sample.records) / 100
        yield from _comment(f"{rejected:,} of {inference.sample.records:,} records are malformed.", "    ")
        yield f"    max_rejected={share},"


def _comment(text: str, indent: str) -> Iterator[str]:
    plain = escape_control_characters(text)
    for line in textwrap.wrap(plain, _WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False):
        yield f"{indent}# {line}"


def _broken_lines(line: str, indent: str) -> Iterator[str]:
    """Return a call in one line, or with one argument a line if it is too long."""
    if len(line) <= _WIDTH:
        yield line
        return
    opening = line.index("(", len(indent)) + 1
    yield line[:opening]
    for argument in _arguments(line[opening:-2]):
        yield f"{indent}    {argument},"
    yield f"{indent}),"


def _arguments(text: str) -> Iterator[str]:
    """Split the arguments of a call at the commas between them."""
    depth, start, quote = 0, 0, ""
    for place, character in enumerate(text):
        if quote:
            if character == quote and text[place - 1] != "\\":
                quote = ""
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            yield text[start:place].strip()
            start = place + 1
    if rest := text[start:].strip():
        yield rest
