"""The pyannote.audio task"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from pyannote.database.protocol import SpeakerDiarizationProtocol
from torch import Tensor
from torch_audiomentations.core.transforms_interface import BaseWaveformTransform
from torchmetrics import Metric

from .checkpoint import load_checkpoint
from .cost import cost
from .distillation import layer_distance, matched_layers
from .resume import SpeakerDiarization, seed_step
from .segmentation import WavLMSegmentation
from .sparsity import (
    SparsityPenalty,
    check_objective,
    check_reachable,
    check_target,
    expected_sparsity,
    gates_of,
    target_at,
)


class DistillationPruning(SpeakerDiarization):
    """Prune WavLM while it stays close to its teacher

    The student, a `WavLMSegmentation` model with gates (see `gate`), learns to have the hidden
    states of its teacher, while its gates learn what to close so that its expected sparsity meets
    a target. Only WavLM is trained: the student keeps the head it comes with, with which its
    diarization error rate is measured on the development set.

    With `target_sparsity=None`, and a student without gates (see `prune`), it is distillation
    alone.

    Parameters
    ----------
    protocol, cache, duration, max_speakers_per_chunk, max_speakers_per_frame, balance, weight,
    batch_size, num_workers, pin_memory, augmentation, metric : optional
        See `pyannote.audio.tasks.SpeakerDiarization`.
    teacher : WavLMSegmentation, str or Path
        Fine-tuned model, which is set to evaluation mode, or its checkpoint. Never saved with
        the student.
    target_sparsity : float, optional
        Fraction of the teacher's WavLM to remove, in [0, 1). Defaults to 0.8.
        None does not prune.
    objective : {"parameters", "macs"}, optional
        What sparsity counts. Defaults to parameters.
    warm_up_epochs : float, optional
        Number of epochs during which the target grows linearly from 0. Defaults to 5.
    layers : tuple of int, optional
        Hidden states to match. Defaults to four of them, evenly spaced: (0, 4, 8, 12) for Base and
        (0, 8, 16, 24) for Large. Under `ddp`, the last one must be among them.
    l1_weight, cosine_weight : float, optional
        Weights of the L1 distance and of the cosine similarity. Default to 1.
    learning_rate : float, optional
        Learning rate of WavLM. Defaults to 2e-4.
    gate_learning_rate : float, optional
        Learning rate of gates and multipliers. Defaults to 2e-2.
    extractor_gradient : float, optional
        Factor of the distillation gradient that reaches convolutions and their gates.
        Defaults to 1 (the implementation of the paper has 0.1).

    Raises
    ------
    ValueError
        If an option is impossible, if teacher and student do not fit, or (before training starts)
        if gates cannot reach the target.

    References
    ----------
    Han et al., "Fine-tune Before Structured Pruning: Towards Compact and Accurate Self-Supervised
    Models for Speaker Diarization", Interspeech 2025.

    Peng et al., "DPHuBERT: Joint Distillation and Pruning of Self-Supervised Speech Models",
    Interspeech 2023.
    """

    def __init__(
        self,
        protocol: SpeakerDiarizationProtocol,
        cache: str | None = None,
        duration: float = 10.0,
        max_speakers_per_chunk: int | None = None,
        max_speakers_per_frame: int = 2,
        balance: Sequence[str] | None = None,
        weight: str | None = None,
        batch_size: int = 32,
        num_workers: int | None = None,
        pin_memory: bool = False,
        augmentation: BaseWaveformTransform | None = None,
        metric: Metric | Sequence[Metric] | dict[str, Metric] | None = None,
        *,
        teacher: WavLMSegmentation | str | Path,
        target_sparsity: float | None = 0.8,
        objective: str = "parameters",
        warm_up_epochs: float = 5,
        layers: tuple[int, ...] | None = None,
        l1_weight: float = 1.0,
        cosine_weight: float = 1.0,
        learning_rate: float = 2e-4,
        gate_learning_rate: float = 2e-2,
        extractor_gradient: float = 1.0,
    ):
        super().__init__(
            protocol,
            cache=cache,
            duration=duration,
            max_speakers_per_chunk=max_speakers_per_chunk,
            max_speakers_per_frame=max_speakers_per_frame,
            balance=balance,
            weight=weight,
            batch_size=batch_size,
            num_workers=num_workers,
            pin_memory=pin_memory,
            augmentation=augmentation,
            metric=metric,
        )
        if not self.has_validation:
            raise ValueError(
                "`protocol` must have a development set, found none: checkpoints are chosen by the "
                "distance to the teacher that is measured there."
            )
        if target_sparsity is not None:
            check_target(target_sparsity)
        check_objective(objective)
        if warm_up_epochs < 0:
            raise ValueError(f"`warm_up_epochs` must not be negative, found {warm_up_epochs}.")

        if not isinstance(teacher, WavLMSegmentation):
            teacher = load_checkpoint(teacher)
        # not a module of the student, so that checkpoints hold the student alone
        self.teacher = teacher.eval()
        self.dense = cost(teacher.wavlm)
        self.layers = matched_layers(teacher.wavlm.config.num_layers, layers)
        self.target_sparsity = target_sparsity
        self.objective = objective
        self.warm_up_epochs = warm_up_epochs
        self.l1_weight = l1_weight
        self.cosine_weight = cosine_weight
        self.learning_rate = learning_rate
        self.gate_learning_rate = gate_learning_rate
        self.extractor_gradient = extractor_gradient

    @property
    def student(self) -> WavLMSegmentation:
        return self.model

    def setup_loss_func(self):
        """Check that student and teacher fit, and attach the multipliers to the student"""
        super().setup_loss_func()
        self._check_student()
        for name, parameter in self.student.named_parameters():
            if not name.startswith(("wavlm.", "loss_func.")):
                parameter.requires_grad_(False)
        # a skipped layer would be compared with one that is not
        self.student.wavlm.layer_drop = 0.0
        # as pyannote.audio calls losses with trainable weights; kept when setup runs twice
        if self.target_sparsity is not None and not hasattr(self.student, "loss_func"):
            self.student.loss_func = SparsityPenalty()
        if self.extractor_gradient != 1.0 and not hasattr(self, "_gradient_hook"):
            scale = partial(_scale_gradient, self.extractor_gradient)
            self._gradient_hook = self.student.wavlm.extractor.register_forward_hook(scale)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW without weight decay; gates and multipliers have their own groups"""
        gates = [gate.log_alpha for gate in gates_of(self.student)]
        others = {id(parameter) for parameter in gates}
        weights = [
            parameter
            for parameter in self.student.wavlm.parameters()
            if parameter.requires_grad and id(parameter) not in others
        ]
        groups = [{"params": weights, "lr": self.learning_rate}]
        if gates:
            # gates and multipliers are not clipped with the weights
            own = {"lr": self.gate_learning_rate, "clip": False}
            multipliers = list(self.student.loss_func.parameters())
            groups += [
                {"params": gates, **own},
                {"params": multipliers, "maximize": True, **own},
            ]
        return torch.optim.AdamW(groups, weight_decay=0.0)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Compute distillation loss and sparsity penalty

        Parameters
        ----------
        batch : dict of torch.Tensor
            "X" are waveforms, (batch_size, 1, num_samples).
        batch_idx : int

        Returns
        -------
        loss : {"loss": () torch.Tensor}
        """
        seed_step(self.student, batch_idx)
        distance = self.distance(batch["X"])
        self._log("loss/distillation", distance)
        if self.target_sparsity is None:
            return {"loss": distance}

        expected = expected_sparsity(self.student.wavlm, self.dense, self.objective)
        target = target_at(self._warm_up_progress(), self.target_sparsity)
        penalty = self.student.loss_func(expected, target)
        self._log("loss/sparsity", penalty)
        self._log("sparsity/expected", expected)
        self._log("sparsity/target", target)
        self._log("lambda/1", self.student.loss_func.lambda1)
        self._log("lambda/2", self.student.loss_func.lambda2)
        return {"loss": distance + penalty}

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int):
        """Compute distance to the teacher, and diarization error rate of the student"""
        distance = self.distance(batch["X"])
        self.student.log("loss/distillation/val", distance, on_epoch=True, sync_dist=True)
        super().validation_step(batch, batch_idx)

    def distance(self, waveforms: Tensor) -> Tensor:
        """Distance between hidden states of student and teacher

        Parameters
        ----------
        waveforms : (batch_size, 1, num_samples) torch.Tensor

        Returns
        -------
        distance : () torch.Tensor
        """
        self.teacher.to(waveforms.device)
        with torch.no_grad():
            teacher = self._select(self.teacher.wavlm(waveforms[:, 0]))
        student = self._select(self.student.wavlm(waveforms[:, 0]))
        return layer_distance(student, teacher, self.l1_weight, self.cosine_weight)

    def _select(self, hidden_states: list[Tensor]) -> Tensor:
        return torch.stack([hidden_states[layer] for layer in self.layers], dim=1)
        # (batch_size, num_layers, num_frames, embed_dim)

    def _warm_up_progress(self) -> float:
        trainer = self.student.trainer
        num_steps = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        num_warm_up_steps = self.warm_up_epochs * num_steps
        return trainer.global_step / num_warm_up_steps if num_warm_up_steps else 1.0

    def _log(self, name: str, value: Tensor | float):
        self.student.log(name, value, on_step=True, on_epoch=False)

    def _check_student(self):
        student, teacher = self.student.wavlm, self.teacher.wavlm
        for name in ("embed_dim", "num_layers"):
            found, expected = getattr(student.config, name), getattr(teacher.config, name)
            if found != expected:
                raise ValueError(
                    f"Student and `teacher` must have the same `{name}`, found {found} and "
                    f"{expected}: the student is made from its teacher with `gate(teacher)`."
                )
        if self.teacher.specifications.duration != self.duration:
            raise ValueError(
                f"`duration` must be the window length of `teacher` "
                f"({self.teacher.specifications.duration:g} s), found {self.duration:g} s."
            )
        if self.target_sparsity is None:
            if student.units:
                raise ValueError(
                    "`target_sparsity` must be given for a student with gates, found None: prune "
                    "it first to distil without pruning."
                )
            return
        if not student.units:
            raise ValueError(
                "The student must have gates, found none: attach them with `gate(model)`, or give "
                "`target_sparsity=None` to distil without pruning."
            )
        check_reachable(student, self.target_sparsity, self.dense, self.objective)


def _scale_gradient(scale: float, module, inputs, outputs):
    features, gates = outputs
    if features.requires_grad:
        features.register_hook(lambda gradient: scale * gradient)
    return features, gates
