"""Tables of results of `quickstart` and `train`"""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from ..recipe.quickstart import Score
from ..segmentation.tables import _millions


def quickstart_table(before: Score, after: Score, target_sparsity: float) -> Table:
    """Make a table of scores on one conversation, before and after pruning"""
    table = Table(title="30 s conversation of pyannote.audio")
    table.add_column("Model")
    for name in ("WavLM parameters", "MACs / s", "Sparsity (target)", "Real-time factor", "DER"):
        table.add_column(name, justify="right")
    for name, asked, score in (
        ("fine-tuned", 0.0, before),
        ("pruned, trained again", target_sparsity, after),
    ):
        table.add_row(
            name,
            f"{score.size.parameters:,}",
            _millions(score.size.macs_per_second),
            f"{score.sparsity:.1%} ({asked:.0%})",
            f"{score.real_time_factor:.4f}",
            f"{score.diarization_error_rate:.1%}",
        )
    return table


def stages_table(summary: Mapping[str, Mapping[str, float]]) -> Table:
    """Make a table of cost and development scores of a recipe, one row per stage

    Parameters
    ----------
    summary : dict
        Content of `summary.json`.
    """
    table = Table(title="Model of each stage")
    table.add_column("Stage")
    for name in ("WavLM parameters", "MACs / s", "Sparsity", "Validation loss", "DER of windows"):
        table.add_column(name, justify="right")
    for stage, row in summary.items():
        table.add_row(
            stage,
            f"{row['parameters']:,}",
            _millions(row["macs_per_second"]),
            f"{row['sparsity']:.1%}",
            f"{row['loss/val']:.3f}",
            f"{row['DiarizationErrorRate']:.1%}",
        )
    return table
