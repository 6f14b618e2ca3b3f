"""Table of ONNX files"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..tables import markdown_table

PRECISION_COLUMNS = (
    "Precision",
    "File (MB)",
    "Log-probabilities within",
    "Frames with the same speakers (%)",
    "Turns that are kept (%)",
)


def precisions_markdown(results: Mapping[str, Any]) -> str:
    """Make a table in Markdown: size and deviation of ONNX files, one row per precision"""
    rows = [
        (
            row["dtype"],
            _size(row["bytes"] / 1e6),
            f"{row['scores']:.1g}",
            f"{100 * row['same_class']:.1f}",
            f"{100 * row['kept_turns']:.1f}",
        )
        for row in results["rows"]
    ]
    turns = results["rows"][0]["num_turns"]
    return (
        f"{results['model']}, on the conversation of pyannote.audio ({turns} turns).\n\n"
        + markdown_table(PRECISION_COLUMNS, rows)
    )


def _size(megabytes: float) -> str:
    """Write a size: small models have less than a megabyte"""
    return f"{megabytes:.0f}" if megabytes >= 10 else f"{megabytes:.2g}"
