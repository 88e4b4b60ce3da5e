"""What the pages of the alert rules show of their classes: when an alert opens, and the arguments."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields
from typing import Final

from etl_assets.model.alert import DEFAULT_ALERTS, AlertRule
from etl_assets_tests.site import arguments

FOLDER: Final = "alert-rules"
_LIST: Final = "<!-- The alert rules: generated. -->\n"
_PLACE: Final = re.compile(r"^<!-- The alert rule (\w+): generated. -->$", re.MULTILINE)


def kinds() -> dict[str, type[AlertRule]]:
    """Return every alert rule by its kind."""
    return {rule.kind: rule for rule in AlertRule.__subclasses__()}


def filled(text: str) -> str:
    """Return the text of a page, with what its class says in place of the comment that names the kind."""
    rows = "".join(
        f"| [{kind}]({kind}.md) | `{rule.__name__}` | {rule.severity} | {_first(rule)} |\n"
        for kind, rule in kinds().items()
    )
    return _PLACE.sub(lambda place: _declared(kinds()[place[1]]), text.replace(_LIST, rows))


def _declared(rule: type[AlertRule]) -> str:
    own_names = inspect.get_annotations(rule).keys() - {"severity"}
    own = [each for each in fields(rule) if each.name in own_names]
    is_default = any(type(each) is rule for each in DEFAULT_ALERTS)
    if is_default:
        declared = "Every source has it, unless it is declared with `off=True`."
    elif "ot declared by a source" in (rule.__doc__ or ""):
        declared = "It is not declared: it holds for the whole installation, and goes to the channel `default`."
    else:
        declared = f"A source has it if it is declared: `Source(alerts=({rule.__name__}({_needed(rule)}),))`."
    text = f"{arguments.description(rule)}\n\n{declared} Its severity is `{rule.severity}` unless declared otherwise."
    return f"{text}\n\n{arguments.table(rule)}" if own else text


def _first(rule: type[AlertRule]) -> str:
    """Return the first sentence of a rule."""
    return arguments.description(rule).replace("\n", " ").partition(". ")[0].rstrip(".")


def _needed(rule: type[AlertRule]) -> str:
    """Return the arguments that must be given."""
    return ", ".join(
        f"{each.name}=…" for each in fields(rule) if each.default is MISSING and each.default_factory is MISSING
    )
