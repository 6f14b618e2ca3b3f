"""Training windows that end with their recording"""

from __future__ import annotations

# seconds: twice the rounding of times within five hours, in single precision
ROUNDING = 2e-3


class WindowsInside:
    """Mixin for pyannote.audio's tasks: windows do not end after the audio because of rounding

    pyannote.audio (4.0.7) keeps times in single precision, and refuses a window that ends a
    nanosecond after its recording, in the middle of a training. It is taken slightly earlier.
    """

    def prepare_chunk(self, file_id: int, start_time: float, duration: float):
        """Prepare a training or validation sample"""
        # that of validation windows was rounded
        start_time, duration = float(start_time), float(self.duration)
        try:
            return super().prepare_chunk(file_id, start_time, duration)
        except ValueError:
            earlier = max(0.0, start_time - ROUNDING)
            return super().prepare_chunk(file_id, earlier, duration)
