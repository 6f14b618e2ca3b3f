"""Write Lightning checkpoints atomically"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.plugins.io import TorchCheckpointIO

from ..files.pickles import write_atomically


class WholeCheckpointIO(TorchCheckpointIO):
    """Write Lightning checkpoints atomically

    Lightning (2.6) writes them to the temporary folder of the system, then moves them. On another
    file system, moving is copying, and an interrupted copy is neither the previous checkpoint nor
    the next one.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint, or leave the previous one in place"""
        write_atomically(checkpoint, Path(path))
