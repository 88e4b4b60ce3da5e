"""Compares values with the types that annotations declare, and describes these types in words.

It knows the kinds of types that declarations use. It accepts any value of another type; type checkers know more.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from functools import cache
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints, is_typeddict

from etl_assets.errors import DeclarationError

Test: TypeAlias = Callable[[object], bool]
"""Returns whether a value is of a type."""

_WORDS: Final[Mapping[Any, str]] = {
    bool: "True or False",
    Callable: "a function",
    float: "a number",
    int: "an integer",
    NoneType: "None",
    str: "a text",
}
_PLURALS: Final[Mapping[Any, str]] = {float: "numbers", int: "integers", str: "texts"}
_LONGEST: Final = 40
"""The largest number of characters of a value that an error shows."""


def resolve(annotation: Any, module: str) -> Any:
    """Return the type that an annotation in a module names; Any if the module lacks one of its names at runtime."""
    names = vars(sys.modules[module]) if module in sys.modules else {}
    try:
        return get_type_hints(SimpleNamespace(__annotations__={"type": annotation}), names)["type"]
    except (AttributeError, NameError, SyntaxError, TypeError):
        return Any


@cache
def test_of(type_: Any) -> Test:
    """Return the function that compares a value with a type.

    An integer is a number too; a Boolean is neither, and NaN is no number. A `datetime` is no `date`.
    """
    origin, parts = get_origin(type_), get_args(type_)
    if origin in (Union, UnionType):
        tests = tuple(map(test_of, parts))
        return lambda value: any(test(value) for test in tests)
    if origin is Literal:
        return lambda value: any(type(value) is type(part) and value == part for part in parts)
    if origin is type:
        return lambda value: isinstance(value, type) and issubclass(value, parts)
    if origin is Callable:
        return callable
    if inspect.isclass(origin) and issubclass(origin, Collection):
        return _test_of_collection(origin, parts)
    return _test_of_class(origin or type_)


def _test_of_collection(origin: type[Collection[Any]], parts: tuple[Any, ...]) -> Test:
    """Return the test of a collection and of what it contains; a text, which contains texts, is none."""
    tests = tuple(test_of(part) for part in parts if part is not ...)
    if issubclass(origin, Mapping):
        of_key, of_value = tests
        return lambda value: (
            isinstance(value, origin) and all(of_key(key) and of_value(part) for key, part in value.items())
        )
    if origin is tuple and ... not in parts:
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(tests)
            and all(test(part) for test, part in zip(tests, value, strict=True))
        )
    test = tests[0]
    return lambda value: isinstance(value, origin) and not isinstance(value, str | bytes) and all(map(test, value))


def _test_of_class(type_: Any) -> Test:
    if type_ is float:
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    if type_ is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    if type_ is date:
        return lambda value: isinstance(value, date) and not isinstance(value, datetime)
    if type_ is Any or not inspect.isclass(type_) or is_typeddict(type_) or getattr(type_, "_is_protocol", False):
        return lambda _: True
    return lambda value: isinstance(value, type_)


def check_value(value: object, type_: Any, where: str, field: str) -> None:
    """Raise a `DeclarationError` unless a value is of a type.

    Args:
        value: The value.
        type_: The type, as `resolve` returns it.
        where: How the error names the declaration.
        field: The argument that the value was given for.
    """
    test = test_of(type_)
    if test(value):
        return
    problem = f"is {_shown(value)}"
    if isinstance(value, str) and any(_name(option) == "Secret" for option in _options(type_)):
        problem = "is a text, which may be the value and is not shown"
    if isinstance(value, tuple) and any(get_args(option)[-1:] == (...,) for option in _options(type_)):
        problem = f"contains {_shown(next((part for part in value if not test((part,))), value))}"
    raise DeclarationError(where, field, problem, _remedy(value, type_))


def _remedy(value: object, type_: Any) -> str:
    """Return what to write: the same value in another form if that is of the type, else the type in words."""
    if test_of(type_)((value,)):
        return f"Write ({_shown(value)},)"
    if isinstance(value, list | set | frozenset) and test_of(type_)(tuple(value)):
        return "Write a tuple, in round brackets: (first, second)"
    if isinstance(value, type) and any(inspect.isclass(part) and issubclass(value, part) for part in _options(type_)):
        return f"Write an instance of {'a class that derives from it' if inspect.isabstract(value) else 'it'}"
    return f"Write {words(type_)}"


def _options(type_: Any) -> tuple[Any, ...]:
    return get_args(type_) if get_origin(type_) in (Union, UnionType) else (type_,)


def _shown(value: object) -> str:
    """Return a value as an error shows it: itself if it is short and no location, which may contain a secret."""
    if inspect.isroutine(value):
        return "a function"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    text = repr(value)
    if isinstance(value, str | int | float | NoneType) and len(text) <= _LONGEST and "//" not in text:
        return text
    return _with_article(type(value).__name__)


def words(type_: Any) -> str:
    """Return a type in words: ``a tuple of texts or None``."""
    origin, parts = get_origin(type_), get_args(type_)
    if origin in (Union, UnionType):
        return _either(*(words(part) for part in parts if part is not int or float not in parts))
    if origin is Literal:
        return _either(*map(repr, parts))
    if origin is type:
        return f"a class that derives from {_name(parts[0])}"
    if origin is tuple:
        return f"a tuple of {_several(parts[0])}" if ... in parts else f"a tuple ({', '.join(map(words, parts))})"
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return f"a mapping of {_several(parts[0])} to {_several(parts[1])}"
    class_ = origin or type_
    return _WORDS.get(class_, _with_article(_name(class_)))


def _several(type_: Any) -> str:
    return _PLURALS.get(type_, words(type_) if get_origin(type_) else _name(type_))


def _either(*kinds: str) -> str:
    return " or ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))


def _name(type_: Any) -> str:
    return str(getattr(type_, "__name__", type_))


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
