"""Dataclasses read from YAML, with every key known and every value checked"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, NoReturn, Protocol, TypeVar, get_args, get_origin, get_type_hints

import yaml

from .messages import did_you_mean, printable, shorten

BOUNDS = {
    "minimum": (operator.ge, "at least"),
    "above": (operator.gt, "above"),
    "maximum": (operator.le, "at most"),
    "below": (operator.lt, "below"),
}
KINDS = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}
KINDS |= {tuple: "a list", dict: "a dictionary", NoneType: "null"}


class Dataclass(Protocol):
    """Any dataclass"""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Section = TypeVar("Section", bound=Dataclass)


def rule(default: Any = MISSING, **rules: Any) -> Any:
    """Declare a field with bounds, `choices` or a `pattern`. Errors quote `expected`, if given"""
    return field(default=default, metadata=rules)


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses duplicate keys, of which PyYAML keeps the last one"""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # PyYAML does not give the line
            kind, reason = node.tag.rpartition(":")[2], printable(str(error))
            problem = f"found {shorten(node.value)}, which is no {kind} ({reason})"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node, seen = super().compose_mapping_node(anchor), []
        for key, _ in node.value:
            if key.value in seen:
                problem = f"found key {key.value!r} twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.append(key.value)
        return node


def read_yaml(path: Path, what: str = "the YAML of a recipe") -> Any:
    content = path.read_bytes()
    try:
        return yaml.load(content, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = f", line {mark.line + 1}" if mark else ""
        if isinstance(error, yaml.reader.ReaderError) and error.encoding == "utf-8":
            line = ", line {}".format(content.count(b"\n", 0, error.position) + 1)
            problem = f"it must be text in UTF-8 ({error.reason}): convert it"
        if isinstance(error, RecursionError):
            problem = "too many levels of nesting"
        raise ValueError(f"{path}{line}: not {what}: {problem or error}.") from error


def section(cls: type[Section], plain: Any, key: str = "") -> Section:
    """Build a dataclass from a dictionary, with all keys and values checked

    Parameters
    ----------
    cls : type
        Dataclass, whose fields may have rules (see `rule`).
    plain : dict
        As read from a file, hence of any type.
    key : str, optional
        Full key of the dictionary, for messages.

    Raises
    ------
    ValueError
        If a key is unknown or missing, or if a value is impossible: the message names the key.
    """
    if not isinstance(plain, Mapping):
        refuse(key, "a dictionary", plain)
    names, hints = [item.name for item in fields(cls)], get_type_hints(cls)
    keys = {
        name: f"{key}.{printable(name)}" if key else printable(name) for name in (*names, *plain)
    }
    for name in plain:
        if name not in names:
            close = did_you_mean(name, names)
            raise ValueError(f"Unknown key `{keys[name]}`{close}: expected {', '.join(names)}.")
    for item in fields(cls):
        if item.name not in plain and item.default is item.default_factory is MISSING:
            expected = _expected(hints[item.name], item.metadata)
            raise ValueError(f"Missing key `{keys[item.name]}`: it must be {expected}.")
    rules = {item.name: item.metadata for item in fields(cls)}
    return cls(
        **{name: _value(plain[name], hints[name], rules[name], keys[name]) for name in plain}
    )


def _value(value: Any, hint: Any, rules: Mapping[str, Any], key: str) -> Any:
    """Convert a value to (one of) the annotated types, and check rules"""
    if isinstance(hint, type) and is_dataclass(hint):
        return section(hint, value, key)
    for option in _options(hint):
        if isinstance(option, type) and is_dataclass(option) and isinstance(value, Mapping):
            return section(option, value, key)
        kind = get_origin(option) or option
        if kind is tuple and isinstance(value, list | tuple):
            return _items(value, get_args(option)[0], rules, key)
        with suppress(TypeError, ValueError, OverflowError):
            converted = _cast(value, kind)
            if _obeys(converted, rules):
                return converted
    refuse(key, _expected(hint, rules), value, rules.get("choices", ()))


def _items(values: list | tuple, hint: Any, rules: Mapping[str, Any], key: str) -> tuple:
    items = tuple(_value(item, hint, rules, f"{key}[{i}]") for i, item in enumerate(values))
    if not items or len(set(items)) < len(items):
        refuse(key, "a list of different values, at least one", list(values))
    return items


def _options(hint: Any) -> tuple:
    return get_args(hint) if get_origin(hint) is UnionType else (hint,)


def _cast(value: Any, kind: type) -> Any:
    if isinstance(value, bool) != (kind is bool) or (isinstance(value, str) and not value.strip()):
        raise TypeError
    if kind is float:
        value = float(value)  # of a string, too: PyYAML does not see a number in 2e-4
        if not math.isfinite(value):
            raise ValueError
    if kind is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, kind):
        raise TypeError
    if isinstance(value, int) and abs(value) >= 2**63:  # PyTorch has no such integer
        raise OverflowError
    return value


def _obeys(value: Any, rules: Mapping[str, Any]) -> bool:
    if isinstance(value, str):
        choices, pattern = rules.get("choices", (value,)), rules.get("pattern", "(?s).*")
        return value in choices and re.fullmatch(pattern, value) is not None
    if isinstance(value, int | float):
        return all(obeys(value, rules[b]) for b, (obeys, _) in BOUNDS.items() if b in rules)
    return True


def _expected(hint: Any, rules: Mapping[str, Any]) -> str:
    if "expected" in rules:
        return rules["expected"]
    if "choices" in rules and hint is str:
        return f"one of {', '.join(map(repr, rules['choices']))}"
    kinds = " or ".join(
        KINDS.get(get_origin(option) or option, KINDS[dict]) for option in _options(hint)
    )
    bounds = " and ".join(f"{words} {rules[b]}" for b, (_, words) in BOUNDS.items() if b in rules)
    return f"{kinds}, {bounds}" if bounds else kinds


def refuse(key: str, expected: str, found: Any, choices: Collection[str] = ()) -> NoReturn:
    subject = f"`{key}`" if key else "The recipe"
    found = "nothing" if found is None else f"{shorten(found)}{did_you_mean(found, choices)}"
    raise ValueError(f"{subject} must be {expected}, found {found}.")
