"""Valid content, spoilt at random places"""

import copy
import datetime
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

HUGE = [2**31, 2**63, 2**64 + 1, 10**30, -(10**30), 10**400]

texts = st.text(max_size=20) | st.sampled_from(
    [
        "é",
        "日本語",
        "a b",
        "x\0y",
        "\x1b[31m",
        "~",
        "../..",
        "/",
        "nan",
        "1e999",
        "[bold]",
        "a" * 400,
    ]
)
numbers = (
    st.integers(-3, 100)
    | st.sampled_from(HUGE)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from([0.0, -0.0, 0.5, 1e-320, 1e308])
)
scalars = st.none() | st.booleans() | numbers | texts
dates = st.just(datetime.date(2025, 1, 1)) | st.just(datetime.datetime(2025, 1, 1, 12))
junk = st.recursive(
    scalars | dates,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def places(plain: Any, place: tuple = ()) -> Iterator[tuple]:
    """Paths of keys and indices to everything that is in a nested structure

    >>> list(places({"a": [1, 2]}))
    [('a',), ('a', 0), ('a', 1)]
    """
    items = plain.items() if isinstance(plain, dict) else enumerate(plain)
    for key, value in items:
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from places(value, (*place, key))


@st.composite
def mutated(draw, plain: dict, junk: st.SearchStrategy = junk) -> tuple[dict, list[str]]:
    """Same structure with one thing spoilt, and the names that an error may point at"""
    plain = copy.deepcopy(plain)
    if not plain:
        return plain, []
    *parents, last = draw(st.sampled_from(list(places(plain))))
    container = plain
    for key in parents:
        container = container[key]
    names = [key for key in (*parents, last) if isinstance(key, str)]

    how = draw(st.sampled_from(["replace", "replace", "delete", "add", "wrap", "rename"]))
    if how == "replace":
        container[last] = draw(junk)
    elif how == "wrap":
        container[last] = draw(
            st.sampled_from([[container[last]], {"x": container[last]}, {last: container[last]}])
        )
    elif how == "delete":
        del container[last]
    elif isinstance(container, list):
        container.insert(last, draw(junk))
    else:
        value = container.pop(last) if how == "rename" else draw(junk)
        name = draw(texts)
        container[name] = value
        names += [name, repr(name)]
    return plain, names
