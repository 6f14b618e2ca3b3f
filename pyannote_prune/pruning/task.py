"""Prune WavLM, or distil a pruned one: task for pyannote.audio"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import torch
import torch.nn as nn
from pyannote.database import Protocol
from torch import Tensor
from torch_audiomentations.core.transforms_interface import BaseWaveformTransform
from torchmetrics import Metric

from ..segmentation.model import WavLMSegmentation
from ..training.augmentation import Mixing
from ..training.non_finite import zero_of
from ..training.steps import place_in_epoch
from ..wavlm.gates import gates_of
from .checks import check_fit, check_gates, check_weights
from .distillation import layer_distance, matched_layers, posterior_divergence
from .frozen_head import frozen_head
from .scope import check_scope, dense_cost, in_scope
from .sparsity import (
    SparsityPenalty,
    check_objective,
    check_target,
    expected_sparsity,
    target_at,
)
from .teacher import WithTeacher

# name of the expected sparsity that is logged with each validation
EXPECTED_SPARSITY = "sparsity/expected/val"

# names of what checkpoints are chosen by: the distance of hidden states, or the sum of all terms
LAYER_DISTANCE, SUM_OF_TERMS = "loss/distillation/val", "loss/total/val"


class DistillationPruning(WithTeacher):
    """Prune WavLM while it stays close to its teacher

    The student, a `WavLMSegmentation` model with gates (see `gate`), learns to reproduce the hidden
    states of its teacher, while its gates close until its expected sparsity meets a target. It may
    learn decisions as well: the posteriors of its teacher, or references. Only WavLM is trained:
    the student keeps its head, through which gradients pass, and its diarization error rate is
    measured on the development set. The student can be trained with any other task afterwards.

    A head with gates is trained too, in training mode, all of it: its gates and weights, classifier
    included. It learns from decisions alone: `output_weight` or `task_weight` must be above 0, and
    `scope` must be "model".

    The loss is a sum of terms, plus the sparsity penalty. Each term is logged, without its weight
    except for the first: "loss/distillation" (hidden states), "loss/output" (posteriors) and
    "loss/task" (references), also on the development set ("loss/distillation/val" etc.). Choose
    checkpoints by `monitor`.

    With `target_sparsity=None`, and a student without gates (see `prune`), nothing is pruned: the
    student is distilled.

    Parameters
    ----------
    protocol : Protocol
        Recordings to learn from.
    cache, duration, balance, weight, batch_size, num_workers : optional
        See `pyannote.audio.tasks.SpeakerDiarization`.
    pin_memory, augmentation, metric : optional
        See `pyannote.audio.tasks.SpeakerDiarization`.
    max_speakers_per_chunk, max_speakers_per_frame : int, optional
        Must be equal to the numbers of the teacher (the default), since the student has the same
        classes.
    teacher : WavLMSegmentation, str or Path
        Fine-tuned model (set to evaluation mode, and moved to the device of the student), or its
        checkpoint. Not saved with the student.
    target_sparsity : float, optional
        Fraction of the teacher's WavLM (or of the whole teacher: see `scope`) to remove, in [0, 1),
        or None not to prune. Defaults to 0.8.
    objective : {"parameters", "macs"}, optional
        Cost that sparsity is a fraction of. Defaults to "parameters".
    scope : {"wavlm", "model"}, optional
        Whether sparsity is that of WavLM alone (the default), or of the whole model, with its head.
    warm_up_epochs : float, optional
        Number of epochs during which the target grows linearly from 0. Defaults to 5.
    layers : tuple of int, optional
        Hidden states to match. Defaults to four of them, evenly spaced: (0, 4, 8, 12) for Base and
        (0, 8, 16, 24) for Large. Under `ddp`, the last one must be among them.
    l1_weight, cosine_weight : float, optional
        Weights of the L1 distance and of the cosine similarity. Default to 1.
    output_weight : float, optional
        Weight of the divergence KL(teacher || student) of powerset posteriors, averaged over
        frames. Defaults to 0.
    task_weight : float, optional
        Weight of the loss of `pyannote.audio.tasks.SpeakerDiarization`, from references.
        Defaults to 0.
    learning_rate : float, optional
        Learning rate of WavLM, and of a head with gates. Defaults to 2e-4.
    gate_learning_rate : float, optional
        Learning rate of gates. Defaults to 2e-2.
    multiplier_learning_rate : float, optional
        Learning rate of the multipliers of the sparsity penalty, which accumulate the difference
        between sparsity and its target: the higher it is, the faster sparsity follows its target,
        and the further it overshoots. Defaults to `gate_learning_rate`.
    extractor_gradient : float, optional
        Factor of the gradient of all terms that reaches convolutions and their gates.
        Defaults to 1 (the implementation of the paper has 0.1).
    in_memory : bool, optional
        Keep decoded audio: 230 MB an hour, in each process that reads it. Defaults to False.
    folder : Path, optional
        Folder of prepared data, which all machines share. Defaults to a temporary file.
    mixing : Mixing, optional
        Mix windows with speakers of other recordings. Defaults to no mixing.

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

    # read by `WavLMSegmentation.build`: the classifier is not trained, and must fit
    keeps_head = True

    not_for_workers = (*WithTeacher.not_for_workers, "dense")

    def __init__(
        self,
        protocol: Protocol,
        cache: str | None = None,
        duration: float = 10.0,
        max_speakers_per_chunk: int | None = None,
        max_speakers_per_frame: int | None = None,
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
        scope: str = "wavlm",
        warm_up_epochs: float = 5,
        layers: tuple[int, ...] | None = None,
        l1_weight: float = 1.0,
        cosine_weight: float = 1.0,
        output_weight: float = 0.0,
        task_weight: float = 0.0,
        learning_rate: float = 2e-4,
        gate_learning_rate: float = 2e-2,
        multiplier_learning_rate: float | None = None,
        extractor_gradient: float = 1.0,
        in_memory: bool = False,
        folder: Path | None = None,
        mixing: Mixing | None = None,
    ):
        super().__init__(
            protocol,
            teacher=teacher,
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
            in_memory=in_memory,
            folder=folder,
            mixing=mixing,
        )
        if not self.has_validation:
            raise ValueError(
                "`protocol` must have a development set, found none: checkpoints are chosen by the "
                "distance to the teacher that is measured there."
            )
        if target_sparsity is not None:
            check_target(target_sparsity)
        check_objective(objective)
        check_scope(scope)
        if warm_up_epochs < 0:
            raise ValueError(f"`warm_up_epochs` must not be negative, found {warm_up_epochs}.")
        check_weights(
            l1_weight=l1_weight,
            cosine_weight=cosine_weight,
            output_weight=output_weight,
            task_weight=task_weight,
        )

        self.dense = dense_cost(in_scope(self.teacher, scope))
        self.layers = matched_layers(self.teacher.wavlm.config.num_layers, layers)
        self.target_sparsity = target_sparsity
        self.objective = objective
        self.scope = scope
        self.warm_up_epochs = warm_up_epochs
        self.l1_weight = l1_weight
        self.cosine_weight = cosine_weight
        self.output_weight = output_weight
        self.task_weight = task_weight
        self.learning_rate = learning_rate
        self.gate_learning_rate = gate_learning_rate
        self.multiplier_learning_rate = multiplier_learning_rate or gate_learning_rate
        self.extractor_gradient = extractor_gradient

    @property
    def student(self) -> WavLMSegmentation:
        """Model that is trained"""
        return self.model

    @property
    def monitor(self) -> str:
        """Name of the value to choose checkpoints by, the lower the better"""
        return monitored_value(self.output_weight, self.task_weight)

    @property
    def _penalty(self) -> SparsityPenalty:
        """Penalty of the student, with its multipliers: see `setup_loss_func`"""
        return cast(SparsityPenalty, self.student.loss_func)

    def setup_loss_func(self):
        """Check that student and teacher fit, and attach the multipliers to the student"""
        super().setup_loss_func()
        check_fit(self.student, self.teacher, self.duration)
        check_gates(
            self.student,
            self.target_sparsity,
            self.dense,
            self.objective,
            self.scope,
            learns_decisions=bool(self.output_weight or self.task_weight),
        )
        # pyannote.audio's name for losses with trainable weights; kept when setup runs twice
        if self.target_sparsity is not None and not hasattr(self.student, "loss_func"):
            self.student.loss_func = SparsityPenalty()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make AdamW without weight decay, with groups of weights, gates and multipliers

        Called by `WavLMSegmentation.configure_optimizers`.
        """
        gates = [gate.log_alpha for gate in gates_of(self.student)]
        others = {id(parameter) for parameter in gates}
        weights = [p for p in self._trained() if id(p) not in others]
        groups = [{"params": weights, "lr": self.learning_rate}]
        if gates:
            multipliers = list(self._penalty.parameters())
            ascent = {"maximize": True, "lr": self.multiplier_learning_rate}
            # `PercentileGradientClipping` clips weights alone
            groups += [
                {"params": gates, "lr": self.gate_learning_rate, "clip": False},
                {"params": multipliers, **ascent, "clip": False},
            ]
        return torch.optim.AdamW(groups, weight_decay=0.0)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Compute the terms of the loss, and the sparsity penalty

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
        terms = self.terms(batch)
        loss = self._sum(terms)
        for name, term in terms.items():
            self._log(f"loss/{name}", term)
        if self.student.trainer.world_size > 1:
            # distributed training requires a gradient for all parameters, including the head
            loss = loss + zero_of(self.student)
        if self.target_sparsity is None:
            return {"loss": loss}

        expected = self.expected_sparsity()
        target = target_at(self._warm_up_progress(batch_idx), self.target_sparsity)
        penalty = self._penalty(expected, target)
        self._log("loss/sparsity", penalty)
        self._log("sparsity/expected", expected)
        self._log("sparsity/target", target)
        self._log("lambda/1", self._penalty.lambda1)
        self._log("lambda/2", self._penalty.lambda2)
        return {"loss": loss + penalty}

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int):
        """Compute terms of the loss, and diarization error rate of the student"""
        terms = self.terms(batch)
        for name, term in terms.items():
            self.student.log(f"loss/{name}/val", term, on_epoch=True)
        if self.monitor == SUM_OF_TERMS:
            self.student.log(SUM_OF_TERMS, self._sum(terms), on_epoch=True)
        if self.target_sparsity is not None:
            self.student.log(EXPECTED_SPARSITY, self.expected_sparsity(), on_epoch=True)
        super().validation_step(batch, batch_idx)

    def expected_sparsity(self) -> Tensor:
        """Compute the expected sparsity of the student, () torch.Tensor"""
        return expected_sparsity(in_scope(self.student, self.scope), self.dense, self.objective)

    def distance(self, waveforms: Tensor) -> Tensor:
        """Compute the distance between hidden states of student and teacher

        Parameters
        ----------
        waveforms : (batch_size, 1, num_samples) torch.Tensor

        Returns
        -------
        distance : () torch.Tensor
        """
        return self._layer_distance(*self._hidden_states(waveforms))

    def terms(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compute the terms of the loss, from one pass of each encoder

        Parameters
        ----------
        batch : dict of torch.Tensor
            See `training_step`.

        Returns
        -------
        terms : dict of () torch.Tensor
            "distillation", the weighted distance of hidden states, then "output" and "task", before
            their weights, where these are above 0.
        """
        student, teacher = self._hidden_states(batch["X"])
        terms = {"distillation": self._layer_distance(student, teacher)}
        if self.monitor == LAYER_DISTANCE:
            return terms
        with nullcontext() if self.student.head_units else frozen_head(self.student):
            scores = self.student.scores(student)
        if self.output_weight:
            with torch.no_grad():
                targets = self.teacher.scores(teacher)
            terms["output"] = posterior_divergence(scores, targets)
        if self.task_weight:
            terms["task"] = self.task_loss(scores, batch)
        return terms

    def _sum(self, terms: dict[str, Tensor]) -> Tensor:
        total = terms["distillation"]
        for name, weight in (("output", self.output_weight), ("task", self.task_weight)):
            if weight:
                total = total + weight * terms[name]
        return total

    def _hidden_states(self, waveforms: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Compute all hidden states of student and teacher"""
        with torch.no_grad():
            teacher = self.teacher_for(waveforms).wavlm(waveforms[:, 0])
        # without skipped layers: the teacher skips none
        options = {"layer_drop": 0.0, "extractor_gradient": self.extractor_gradient}
        return self.student.wavlm(waveforms[:, 0], **options), teacher

    def _layer_distance(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        selected = (self._select(student), self._select(teacher))
        return layer_distance(*selected, self.l1_weight, self.cosine_weight)

    def _trained(self) -> list[nn.Parameter]:
        """List the parameters that are trained: those of WavLM, and of a head with gates"""
        trained = [p for p in self.student.wavlm.parameters() if p.requires_grad]
        if self.student.head_units:
            trained += [p for p in self.student.head_parameters() if p.requires_grad]
        return trained

    def _select(self, hidden_states: list[Tensor]) -> Tensor:
        return torch.stack([hidden_states[layer] for layer in self.layers], dim=1)
        # (batch_size, num_layers, num_frames, embed_dim)

    def _warm_up_progress(self, batch_idx: int) -> float:
        """Compute the fraction of the warm-up that is over

        It counts in epochs: past ones may have had another number of steps.
        """
        if not self.warm_up_epochs:
            return 1.0
        trainer = self.student.trainer
        step, num_steps = place_in_epoch(trainer, batch_idx)
        return (trainer.current_epoch + step / num_steps) / self.warm_up_epochs

    def _log(self, name: str, value: Tensor | float):
        self.student.log(name, value, on_step=True, on_epoch=False)


def monitored_value(output_weight: float, task_weight: float) -> str:
    """Name of the value by which checkpoints are chosen: see `DistillationPruning.monitor`

    It is the loss without sparsity penalty, measured on the development set.
    """
    return SUM_OF_TERMS if output_weight or task_weight else LAYER_DISTANCE
