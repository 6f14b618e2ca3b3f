"""Licences of weights: names, and identifiers of the hub"""

from __future__ import annotations

import re

# of weights that DiariZen and SUPlime have released, and of what is made from them
NON_COMMERCIAL = "CC BY-NC 4.0"

# of licences that a card may name, according to the hub
IDENTIFIERS = (
    *("agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0"),
    *("cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
    *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0"),
    *("cc-by-nd-4.0", "gpl-3.0", "isc", "lgpl-3.0", "mit", "mpl-2.0", "unlicense"),
)


def licence_identifier(name: str) -> str | None:
    """Identifier of the hub, or None for other licences

    >>> licence_identifier("CC BY-NC 4.0"), licence_identifier("mine"), licence_identifier("MIT")
    ('cc-by-nc-4.0', None, 'mit')
    """
    identifier = re.sub(r"[\s_]+", "-", name.strip().lower())
    return identifier if identifier in IDENTIFIERS else None


def strictness(name: str | None) -> int:
    """Rank a licence by what it restricts: the higher, the stricter

    Excluding commercial use counts more than anything else. A licence that is not among
    `IDENTIFIERS` may restrict anything else, and one that is not known claims nothing.

    Examples
    --------
    >>> [strictness(name) for name in (None, "MIT", "CC BY-SA 4.0", "Ours", "CC BY-NC 4.0")]
    [0, 0, 1, 3, 4]
    """
    if name is None:
        return 0
    identifier = licence_identifier(name)
    if identifier is None:
        return 3
    parts = identifier.split("-")
    shares_alike = any(part in parts for part in ("sa", "agpl", "gpl", "lgpl", "mpl"))
    return 4 * ("nc" in parts) + 2 * ("nd" in parts) + shares_alike


def is_same_licence(first: str, second: str) -> bool:
    """Whether two names are those of the same licence

    >>> is_same_licence("CC BY-NC 4.0", "cc-by-nc-4.0"), is_same_licence("MIT", "CC BY 4.0")
    (True, False)
    """
    return (licence_identifier(first) or first) == (licence_identifier(second) or second)
