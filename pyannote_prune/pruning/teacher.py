"""Tasks with a frozen teacher"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from pyannote.audio.utils.powerset import Powerset
from pyannote.database import Protocol
from torch import Tensor

from ..segmentation.checkpoint import load_checkpoint
from ..segmentation.model import WavLMSegmentation
from ..segmentation.specifications import class_names, has_specifications, single_specifications
from ..training.loss import diarization_loss
from ..training.task import ResumableDiarization
from .distillation import posterior_divergence


class WithTeacher(ResumableDiarization):
    """Speaker diarization task that holds a frozen teacher, whose classes it has

    The teacher is no module of the student: checkpoints hold the student alone, and processes that
    read audio do not receive it.

    Parameters
    ----------
    protocol : Protocol
    teacher : WavLMSegmentation, str or Path
        Fine-tuned powerset model, or its checkpoint.
    max_speakers_per_chunk, max_speakers_per_frame : int, optional
        Must be equal to the numbers of the teacher (the default).
    **options
        See `ResumableDiarization`.

    Raises
    ------
    ValueError
        If the teacher is not trained, has no powerset classes, or has other ones.
    """

    model: WavLMSegmentation

    not_for_workers = (*ResumableDiarization.not_for_workers, "teacher")

    def __init__(
        self,
        protocol: Protocol,
        *,
        teacher: WavLMSegmentation | str | Path,
        max_speakers_per_chunk: int | None = None,
        max_speakers_per_frame: int | None = None,
        **options: Any,
    ):
        if not isinstance(teacher, WavLMSegmentation):
            teacher = load_checkpoint(teacher)
        classes = _classes_of(teacher, max_speakers_per_chunk, max_speakers_per_frame)
        super().__init__(protocol, **(options | classes))
        self.teacher = teacher.eval()

    def teacher_for(self, waveforms: Tensor) -> WavLMSegmentation:
        """Get the teacher in evaluation mode, on the device of waveforms"""
        self.teacher.to(waveforms.device)
        if self.teacher.training:
            self.teacher.eval()
        return self.teacher

    def task_loss(self, scores: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Compute the loss of pyannote.audio's task, () torch.Tensor, from scores of a batch"""
        weight = batch.get(getattr(self, "weight", None) or "")
        powerset = cast(Powerset, self.model.powerset)
        return diarization_loss(scores, batch["y"], powerset, weight)


class DiarizationWithTeacher(WithTeacher):
    """Train a model to diarize, with the posteriors of a teacher as soft targets beside references

    The loss is that of `pyannote.audio.tasks.SpeakerDiarization`, plus `teacher_weight` times the
    divergence KL(teacher || student) of powerset posteriors, averaged over frames. Speakers come in
    the order of the teacher there: the student should start from it, as pruned models do.

    Logs "loss/train" (from references alone), and "loss/output" (the divergence).

    Parameters
    ----------
    protocol : Protocol
    teacher : WavLMSegmentation, str or Path
        Fine-tuned model (set to evaluation mode, and moved to the device of the student), or its
        checkpoint. Not saved with the student.
    teacher_weight : float, optional
        Weight of the divergence, above 0. Defaults to 1.
    **options
        See `pyannote.audio.tasks.SpeakerDiarization`. Numbers of speakers must be those of the
        teacher (the default). `in_memory` and `folder` are as in `DistillationPruning`.

    Raises
    ------
    ValueError
        If `teacher_weight` is not above 0, or if the teacher has no powerset classes, or other
        ones.

    References
    ----------
    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        teacher: WavLMSegmentation | str | Path,
        teacher_weight: float = 1.0,
        **options: Any,
    ):
        if not 0 < teacher_weight < float("inf"):
            raise ValueError(
                f"`teacher_weight` must be above 0 and finite, found {teacher_weight!r}: to train "
                "without teacher, use pyannote.audio's `SpeakerDiarization` task."
            )
        super().__init__(protocol, teacher=teacher, **options)
        self.teacher_weight = teacher_weight

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Compute the loss

        Parameters
        ----------
        batch : dict of torch.Tensor
            "X" are waveforms, (batch_size, 1, num_samples), "y" are references,
            (batch_size, num_frames, num_speakers).
        batch_idx : int

        Returns
        -------
        loss : {"loss": () torch.Tensor}
        """
        waveforms = batch["X"]
        if not waveforms.isfinite().all():
            return super().training_step(batch, batch_idx)
        scores = self.model(waveforms)
        loss = self.task_loss(scores, batch)
        with torch.no_grad():
            targets = self.teacher_for(waveforms)(waveforms)
        divergence = posterior_divergence(scores, targets)
        # as pyannote.audio logs it
        self.model.log("loss/train", loss, on_step=False, on_epoch=True)
        self.model.log("loss/output", divergence, on_step=True, on_epoch=False)
        return {"loss": loss + self.teacher_weight * divergence}


def _classes_of(
    teacher: WavLMSegmentation,
    max_speakers_per_chunk: int | None,
    max_speakers_per_frame: int | None,
) -> dict[str, int]:
    """Read the numbers of speakers of a teacher, which its student shares

    Other classes would need another classifier, which is not trained.
    """
    specifications = single_specifications(teacher) if has_specifications(teacher) else None
    if specifications is None or specifications.powerset_max_classes is None:
        raise ValueError(
            "`teacher` must be a trained diarization model with powerset classes, found "
            f"{'no specifications' if specifications is None else specifications.problem.name}: "
            "fine-tune it with pyannote.audio's `SpeakerDiarization` task first."
        )
    expected = {
        "max_speakers_per_chunk": len(class_names(specifications)),
        "max_speakers_per_frame": specifications.powerset_max_classes,
    }
    given = (max_speakers_per_chunk, max_speakers_per_frame)
    for found, (name, value) in zip(given, expected.items(), strict=True):
        if found is not None and found != value:
            raise ValueError(
                f"`{name}` must be as for `teacher` ({value}), found {found}: the student keeps "
                "the classifier of its teacher. Leave it out, or fine-tune the teacher with "
                f"{name}={found} first."
            )
    return expected
