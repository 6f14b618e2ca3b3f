"""Checkpoints of a training"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from .whole import whole


class WholeCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints, whole or not there, wherever training is killed

    Lightning itself writes them in the temporary folder of the system, then moves them: where this
    is another file system, moving is copying, and a copy that is interrupted is neither the
    previous checkpoint nor the next one.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        with whole(path) as draft:
            torch.save(checkpoint, draft)
