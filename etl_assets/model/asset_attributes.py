"""Which names, owners, groups, tags, queues and freshness of assets Dagster accepts.

Dagster would refuse the others when it loads the assets of all sources. A test compares these checks with its own.
"""

from __future__ import annotations

import re
from datetime import timedelta
from keyword import kwlist
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,49}")
_KEPT: Final = frozenset(
    {
        *kwlist,
        *("context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict", "output_arg_dict"),
        *("int", "str", "float", "bool", "input", "output", "type"),
        *("audit", "replay", "rebuild", "retention"),
    }
)
"""Names that a job cannot have: of Python, of Dagster, and of the jobs that are there already."""
DEFAULT_GROUP: Final = "sources"
"""The group of the assets of a source that declares none."""
_GROUP: Final = re.compile(r"[A-Za-z0-9_]{1,63}")
_OWNER: Final = re.compile(r"team:.+|\w[\w.%+-]*@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}", re.ASCII)
_TAG: Final = re.compile(r"(?:[A-Za-z0-9_.-]{1,63}/|dagster/kind/)?[A-Za-z0-9_.-]{1,63}")
_TAG_VALUE: Final = re.compile(r"[A-Za-z0-9_.-]{0,63}")
_QUEUE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SHORTEST: Final = timedelta(minutes=1)


def check_name(name: str, where: str) -> None:
    """Raise a `DeclarationError` unless a name can be that of a table, of assets and of a job."""
    if not _NAME.fullmatch(name):
        raise DeclarationError(
            where, "name", "cannot be a table's name", "Use lower-case letters, digits and underscores, at most 50"
        )
    if name in _KEPT:
        raise DeclarationError(where, "name", "cannot be that of a Dagster job", f"Write a longer one: {name}_feed")


def check_owner(owner: str, where: str) -> None:
    """Raise a `DeclarationError` unless an owner is an e-mail address or a team."""
    if not _OWNER.fullmatch(owner):
        raise DeclarationError(where, "owner", f"{owner!r} is not valid", "Write an e-mail address or 'team:name'")


def check_group(group: str, where: str) -> None:
    """Raise a `DeclarationError` unless a name can be that of a group of assets."""
    if not _GROUP.fullmatch(group):
        remedy = "Write the domain with letters, digits and underscores, at most 63"
        raise DeclarationError(where, "group", f"{group!r} cannot be the name of a group", remedy)


def check_tags(tags: Mapping[str, str], where: str) -> None:
    """Raise a `DeclarationError` unless the keys and values of all tags are short and plain."""
    for key, value in tags.items():
        if not _TAG.fullmatch(key) or not _TAG_VALUE.fullmatch(value):
            remedy = "Write letters, digits, '_', '-' and '.', at most 63 of them; a key may be 'name/key'"
            raise DeclarationError(where, "tags", f"contain {key!r}: {value!r}", remedy)


def is_queue(name: str) -> bool:
    """Return whether a name can be that of a queue: in a broker, on a command line and in a tag."""
    return _QUEUE.fullmatch(name) is not None


def check_queue(queue: str, where: str) -> None:
    """Raise a `DeclarationError` unless a name can be that of a queue."""
    if not is_queue(queue):
        remedy = "Use lower-case letters, digits, '_' and '-', at most 63"
        raise DeclarationError(where, "queue", f"{queue!r} is not the name of a queue", remedy)


def check_freshness(freshness: timedelta, where: str) -> None:
    """Raise a `DeclarationError` unless a table can be older than that at some time, and Dagster can see it."""
    if freshness < _SHORTEST:
        remedy = "Write timedelta(minutes=1) or more, or None for any age"
        raise DeclarationError(where, "freshness", f"is {freshness}", remedy)
