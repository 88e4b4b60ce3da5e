"""`Declaration`: the base class of everything that is declared. It checks the arguments, of all classes alike.

The classes themselves check what their arguments mean, and whether they fit together.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from etl_assets.errors import DeclarationError
from etl_assets.model.declared_types import check_value, resolve, test_of, words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from etl_assets.model.declared_types import Test

    D = TypeVar("D", bound="Declaration")

_WITHOUT_NAME: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_WITH_NAME: Final = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Declaration(ABC):  # noqa: B024 -- some of the classes that derive from it have abstract methods
    """Base class of everything that is declared, and of the stages that a source may bring itself.

    The arguments are compared with the parameters of ``__init__`` and their annotations before ``__init__`` is called,
    so that a dataclass needs no check of the types of its fields. An annotation is unknown if its module imports a name
    in it for type checkers alone; then every value is accepted.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Raise a `DeclarationError` if an argument is missing, unknown or not of its type."""
        parameters = _parameters(cls)
        given = [*zip(parameters.without_name, args, strict=False)]
        given += [(name, value) for name, value in kwargs.items() if name in parameters.with_name]
        where = _where(cls, dict(given).get("name"))
        if cls.__abstractmethods__:
            methods = ", ".join(sorted(cls.__abstractmethods__))
            raise DeclarationError(where, methods, "is not defined", "Write an instance of a class that defines it")
        parameters.check_names(args, kwargs, where)
        given += [(parameters.further, value) for value in args[len(parameters.without_name) :]]
        for name, value in given:
            if not parameters.tests[name](value):
                check_value(value, parameters.types[name], where, name)
        return super().__new__(cls)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a copy be made of the attributes, not of arguments."""
        return _copy, (type(self), vars(self))


@dataclass(frozen=True)
class _Parameters:
    """The parameters of a class.

    Attributes:
        without_name: Those whose arguments may be given without a name, in order.
        with_name: Those whose arguments may be given by name.
        required: Those that have no default.
        further: The one that takes any number of arguments without a name; empty if there is none.
        is_open: Whether there may be arguments of any other name.
        types: The types of those that have one.
        tests: The tests of these types.
    """

    without_name: tuple[str, ...]
    with_name: tuple[str, ...]
    required: tuple[str, ...]
    further: str
    is_open: bool
    types: Mapping[str, Any]
    tests: Mapping[str, Test]

    def check_names(self, args: Sequence[Any], kwargs: Mapping[str, Any], where: str) -> None:
        """Raise a `DeclarationError` if an argument is unknown, given twice or missing."""
        if len(args) > len(self.without_name) and not self.further:
            problem = f"are {len(args)} without a name; {len(self.without_name) or 'none'} may be"
            names = f"Write {self.with_name[0]}=… and so on" if self.with_name else "Leave them out"
            raise DeclarationError(where, "arguments", problem, names)
        given = set(self.without_name[: len(args)])
        for name in kwargs:
            if name in given and name in self.with_name:
                raise DeclarationError(where, name, "is given twice", "Write it once")
            if name not in self.with_name and not self.is_open:
                raise unknown_argument(where, name, self.with_name)
        for name in self.required:
            if name not in given and name not in kwargs:
                type_ = words(self.types[name]).removesuffix(" or None")  # what is missing is no None
                raise DeclarationError(where, name, "is missing", f"Write {name}=…: {type_}")


def unknown_argument(where: str, name: str, known: Collection[str]) -> DeclarationError:
    """Return the error about an argument that there is not, with the most similar one that there is."""
    close = get_close_matches(name, known, n=1)
    remedy = f"Write {close[0]}" if close else f"Write one of {', '.join(known)}"
    return DeclarationError(where, name, "is not known", remedy if known else "Leave it out")


@cache
def _parameters(class_: type[Declaration]) -> _Parameters:
    inherited: Any = class_.__init__
    every = () if inherited is object.__init__ else tuple(inspect.signature(inherited).parameters.values())[1:]
    named = [parameter for parameter in every if parameter.kind is not Parameter.VAR_KEYWORD]
    types = {parameter.name: _type_of(parameter, class_) for parameter in named}
    return _Parameters(
        without_name=tuple(parameter.name for parameter in every if parameter.kind in _WITHOUT_NAME),
        with_name=tuple(parameter.name for parameter in every if parameter.kind in _WITH_NAME),
        required=tuple(_required(named)),
        further=next((parameter.name for parameter in every if parameter.kind is Parameter.VAR_POSITIONAL), ""),
        is_open=len(named) < len(every),
        types=types,
        tests={name: test_of(type_) for name, type_ in types.items()},
    )


def _required(parameters: Collection[Parameter]) -> Iterator[str]:
    for parameter in parameters:
        if parameter.default is Parameter.empty and parameter.kind is not Parameter.VAR_POSITIONAL:
            yield parameter.name


def _type_of(parameter: Parameter, class_: type[Declaration]) -> Any:
    """Return the type of a parameter: of the field in the class that declares it, else of ``__init__`` itself."""
    for base in class_.__mro__:
        if vars(base).get("__annotations__", {}).get(parameter.name) == parameter.annotation:
            return resolve(parameter.annotation, base.__module__)
    annotation = Any if parameter.annotation is Parameter.empty else parameter.annotation
    return resolve(annotation, class_.__init__.__module__)


def _where(class_: type[Declaration], name: object) -> str:
    """Return how an error names a value of a class: by its own name, if it has one, or by its class."""
    noun, alone = _nouns(class_)
    return f"{noun} {name!r}" if isinstance(name, str) else alone


@cache
def _nouns(class_: type[Declaration]) -> tuple[str, str]:
    """Return the class directly below `Declaration` in words, ``alert rule``, and the class: ``alert rule SlowRun``."""
    kind = next(base for base in reversed(class_.__mro__) if issubclass(base, Declaration) and base is not Declaration)
    noun = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
    return noun, class_.__name__ if kind is class_ else f"{noun} {class_.__name__}"


def _copy(class_: type[D], attributes: Mapping[str, Any]) -> D:
    value = object.__new__(class_)
    vars(value).update(attributes)
    return value
