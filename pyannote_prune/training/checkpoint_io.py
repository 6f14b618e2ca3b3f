"""Write Lightning checkpoints atomically"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.plugins.io import TorchCheckpointIO

from ..files.pickles import write_atomically


class WholeCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints, whole or not there, wherever training is killed

    Lightning itself writes them in the temporary folder of the system, then moves them: where this
    is another file system, moving is copying, and a copy that is interrupted is neither the
    previous checkpoint nor the next one.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        write_atomically(checkpoint, Path(path))
