"""Audio that is decoded once"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F


class AudioInMemory:
    """Mixin for pyannote.audio's tasks: keep decoded files when `in_memory` is set

    Opening a file takes longer than a training step of a small model takes for its samples. An
    hour of audio takes 230 MB, in each process that reads it.
    """

    in_memory = False

    def get_file(self, file_id: int) -> dict[str, Any]:
        """File that training samples are cropped from"""
        file = super().get_file(file_id)
        if not self.in_memory:
            return file
        kept = self.__dict__.setdefault("_kept", {})
        if file_id not in kept:
            waveform, sample_rate = self.model.audio(file)
            # one sample more: pyannote.audio (4.0.7) refuses windows that reach the end otherwise
            kept[file_id] = {"waveform": F.pad(waveform, (0, 1)), "sample_rate": sample_rate}
        return kept[file_id]
