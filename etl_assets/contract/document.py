"""Parses a contract into plain values, if the model of the standard accepts it."""

from __future__ import annotations

from typing import Any, Final

import yaml
from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import ValidationError

from etl_assets.errors import ContractError

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_SHOWN: Final = 5


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Leaves dates as texts, as the model has them, and refuses aliases, with which a small file can be endless."""

    yaml_implicit_resolvers: Final = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise ContractError("The contract has an alias (*name). Nothing was written. Write the values out.")
        return super().compose_node(parent, index)


def parse_document(text: str) -> dict[str, Any]:
    """Return a contract as plain values, each of which belongs to the caller.

    Args:
        text: YAML or JSON.

    Raises:
        ContractError: If it is no contract.
    """
    try:
        values = yaml.load(text, _Loader)  # noqa: S506 -- a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ContractError(f"The file is no YAML ({type(error).__name__}). Nothing was written. Correct it.") from None
    if not isinstance(values, dict):
        raise ContractError("The file is no data contract. Nothing was written. A contract is a mapping in YAML.")
    try:
        OpenDataContractStandard(**values)
    except ValidationError as error:
        found = error.errors()[:_SHOWN]
        problem = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)
    except TypeError as error:
        problem = type(error).__name__
    else:
        return values
    raise ContractError(
        f"The file is no contract of the Open Data Contract Standard. Nothing was written. Correct it: {problem}."
    )
