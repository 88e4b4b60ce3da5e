"""Where the records of a document are: a path of names and arrays, a subset of JSONPath (RFC 9535).

``$`` is the whole document, ``.name`` or ``['name']`` a member, ``[*]`` each element of an array; ``.*``, as the last
step, each member of an object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_STEP: Final = re.compile(
    r"""\.(?P<any>\*) | \.(?P<name>[^\s.\[\]'"*$]+) | (?P<each>\[\*\]) | \['(?P<single>(?:[^'\\]|\\['\\])+)'\]"""
    r"""| \["(?P<double>(?:[^"\\]|\\["\\])+)"\]""",
    re.VERBOSE,
)
_PLAIN: Final = re.compile(r"[^\W\d]\w*")
_MOST_STEPS: Final = 16


@dataclass(frozen=True)
class Path:
    """A path to the records.

    Attributes:
        steps: From the document to the array, the object or the value that is the records: names, and None for each
            element of an array.
        members: Whether the records are the members of an object.
        elements: Whether the path says that the records are the elements of an array.
    """

    steps: tuple[str | None, ...]
    members: bool
    elements: bool

    @classmethod
    def parse(cls, text: str) -> Path:
        """Read a path.

        Raises:
            ValueError: If it is not written like one; the text is a clause.
        """
        if not text.startswith("$"):
            raise ValueError("does not begin with $")
        steps: list[str | None] = []
        at, members = 1, False
        while at < len(text):
            match = _STEP.match(text, at)
            if match is None:
                raise ValueError(f"cannot be read from {text[at:]!r} on")
            if members:
                raise ValueError("goes on after .*")
            members = match["any"] is not None
            if not members:
                quoted = match["single"] or match["double"]
                steps.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else match["name"])
            at = match.end()
        if len(steps) > _MOST_STEPS:
            raise ValueError(f"has more than {_MOST_STEPS} steps")
        elements = bool(steps) and steps[-1] is None and not members
        return cls(tuple(steps[:-1] if elements else steps), members, elements)

    def place(self, outer: tuple[int, ...], steps: int | None = None) -> str:
        """Return the place of the value after some steps, or after all: ``$.groups[2].items``.

        Args:
            outer: The index in each array on the way.
            steps: Number of steps.
        """
        indices = iter(outer)
        return "$" + "".join(f"[{next(indices)}]" if step is None else step_of(step) for step in self.steps[:steps])


def step_of(name: str) -> str:
    """Return the step to a member, as in a path."""
    if _PLAIN.fullmatch(name):
        return f".{name}"
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"
