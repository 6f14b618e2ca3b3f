"""Tables in Markdown"""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], num_texts: int = 1
) -> str:
    """Format a table in Markdown

    Parameters
    ----------
    columns : sequence of str
        Titles of columns.
    rows : sequence of sequence of str
    num_texts : int, optional
        Number of leading columns with text. Others have numbers, aligned to the right.

    Examples
    --------
    >>> print(markdown_table(("Arm", "DER"), [("dense", "18.5")]), end="")
    | Arm | DER |
    | --- | ---: |
    | dense | 18.5 |
    """
    separators = ["---"] * num_texts + ["---:"] * (len(columns) - num_texts)
    return "".join(f"| {' | '.join(line)} |\n" for line in (columns, separators, *rows))
