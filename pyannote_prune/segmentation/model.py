"""The pyannote.audio model"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import lightning
import torch
import torch.nn as nn
import torch.nn.functional as F
from pyannote.audio.core.model import Model
from pyannote.audio.core.task import Specifications, Task
from torch import Tensor
from torchaudio.models import Conformer

from ..files.audio import SAMPLE_RATE
from ..wavlm.config import WavLMConfig
from ..wavlm.geometry import receptive_field_size
from ..wavlm.waveforms import check_batch
from ..wavlm.weights import check_keys
from .conformer import PrunableConformer
from .contents import TASK_MODULES, without_task_modules
from .encoder import make_encoder
from .head import CONFORMER_DEFAULTS, Head, make_head, run_conformer
from .provenance import KEY as PROVENANCE
from .provenance import Provenance
from .rebuild import rebuild
from .safetensors_file import is_safetensors, read_tensors
from .samples import CheckedAudio
from .specifications import class_names, single_specifications, with_plain_classes
from .units import split_units
from .validation import ValidationOfAllProcesses

TASK: property = vars(Model)["task"]


class WavLMSegmentation(ValidationOfAllProcesses, Model):
    """WavLM-based speaker segmentation

    WavLM > weighted sum of layers > Conformer > classifier, or another head

    Parameters
    ----------
    wavlm : str, Path, WavLMConfig or dict
        Hub id or local folder in Hugging Face layout (pretrained weights), or structure of an
        encoder (random weights). Checkpoints have the structure, as a dictionary: they are loaded
        without any download.
    conformer : dict, optional
        Keyword arguments of `torchaudio.models.Conformer`.
        Defaults to {"input_dim": 256, "num_heads": 4, "ffn_dim": 1024, "num_layers": 4,
        "depthwise_conv_kernel_size": 31, "dropout": 0.1}.
    units : tuple of str, optional
        Units of WavLM, and of the head, that have gates (see `gate`). Defaults to none.
    wavlm_learning_rate, learning_rate : float, optional
        Learning rates of AdamW for WavLM and for everything else.
        Default to 2e-5 and 1e-3.
    sample_rate : int, optional
        Must be 16000 (Hz), as for WavLM.
    num_channels : int, optional
        Must be 1 (mono).
    task : Task, optional
        Task addressed by the model.
    head : Head or dict, optional
        Layers between WavLM and the classifier, in place of `conformer`: heads of models that
        others have trained. Defaults to the weighted sum and the Conformer above.

    Shape
    -----
    waveforms : (batch_size, 1, num_samples) torch.Tensor
        At least 400 samples (25 ms).
    scores : (batch_size, num_frames, num_classes) torch.Tensor
        Log-probabilities for powerset classes, probabilities for others, at 50 frames per second.

    Raises
    ------
    ValueError
        If an option is impossible, if waveforms are not mono, too short, or not finite,
        or if a checkpoint does not fit.
    OSError
        If `wavlm` cannot be found.

    References
    ----------
    Han et al., "Fine-tune Before Structured Pruning: Towards Compact and Accurate Self-Supervised
    Models for Speaker Diarization", Interspeech 2025.

    Gulati et al., "Conformer: Convolution-augmented Transformer for Speech Recognition",
    Interspeech 2020.
    """

    # pyannote.audio writes module and class in checkpoints, and imports them when it loads these.
    # All releases can import the class from here.
    __module__ = "pyannote_prune.segmentation"

    CONFORMER_DEFAULTS = CONFORMER_DEFAULTS

    # what it was made from, which checkpoints keep
    provenance = Provenance()

    # made by `build`, once there are specifications
    classifier: nn.Linear
    activation: nn.Module

    # made by `head`, which describes those that there are
    projection: nn.Linear
    norm: nn.LayerNorm
    conformer: Conformer | PrunableConformer
    lstm: nn.LSTM
    linear: nn.ModuleList

    def __init__(
        self,
        wavlm: str | Path | WavLMConfig | Mapping[str, Any],
        conformer: dict | None = None,
        units: Collection[str] = (),
        wavlm_learning_rate: float = 2e-5,
        learning_rate: float = 1e-3,
        sample_rate: int = SAMPLE_RATE,
        num_channels: int = 1,
        task: Task | None = None,
        head: Head | Mapping[str, Any] | None = None,
    ) -> None:
        if sample_rate != SAMPLE_RATE:
            raise ValueError(
                f"`sample_rate` must be {SAMPLE_RATE}, found {sample_rate}: WavLM was pretrained "
                "at 16 kHz (files at other rates are resampled when pyannote.audio reads them)."
            )
        if num_channels != 1:
            raise ValueError(
                f"`num_channels` must be 1, found {num_channels}: the model is mono "
                "(files are downmixed when pyannote.audio reads them)."
            )
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        self.audio = CheckedAudio(sample_rate=sample_rate, mono="downmix")

        wavlm_units, self.head_units = split_units(units)
        self.wavlm = make_encoder(wavlm, wavlm_units)
        if isinstance(wavlm, str | Path):
            self.provenance = Provenance.of(wavlm)
        self.head = make_head(conformer, head)
        self.save_hyperparameters(
            {
                "wavlm": self.wavlm.config.to_dict(),
                **self.head.to_hparams(),
                "units": list(units),
                "wavlm_learning_rate": wavlm_learning_rate,
                "learning_rate": learning_rate,
            }
        )

        weights = self.head.initial_weights(self.wavlm.config.num_layers)
        self.layer_weights = None if weights is None else nn.Parameter(weights)
        embed_dim = self.wavlm.config.embed_dim
        for name, module in self.head.make_modules(embed_dim, self.head_units).items():
            self.add_module(name, module)

    @property
    def units(self) -> tuple[str, ...]:
        """Units that have gates: those of WavLM, then those of the head"""
        return (*self.wavlm.units, *self.head_units)

    def head_parameters(self) -> list[nn.Parameter]:
        """List the parameters outside of WavLM, without those that a task added"""
        others = ("wavlm", *TASK_MODULES)
        return [p for name, p in self.named_parameters() if name.split(".", 1)[0] not in others]

    @TASK.setter
    def task(self, task: Task | None) -> None:
        """Assign another task, and remove the modules that the previous one added to the model"""
        for name in TASK_MODULES:
            if hasattr(self, name):
                delattr(self, name)
        TASK.__set__(self, task)

    @property
    def dimension(self) -> int:
        """Number of output classes"""
        specifications = single_specifications(self)
        if specifications.powerset:
            return specifications.num_powerset_classes
        return len(class_names(specifications))

    def build(self) -> None:
        keeps_head = getattr(self.task, "keeps_head", False) and hasattr(self, "classifier")
        if keeps_head and self.classifier.out_features != self.dimension:
            raise ValueError(
                f"The model must have the {self.dimension} classes of its task, which does not "
                f"train the classifier, found {self.classifier.out_features}: make the model from "
                "the teacher of the task, with `gate(teacher)`."
            )
        self.classifier = nn.Linear(self.head.dimension, self.dimension)
        self.activation = cast(nn.Module, self.default_activation())

    def num_frames(self, num_samples: int) -> int:
        """Compute number of output frames

        Parameters
        ----------
        num_samples : int
            Number of input samples.

        Returns
        -------
        num_frames : int
            Number of output frames, 0 if there are fewer samples than in the receptive field.
        """
        return self.wavlm.num_frames(num_samples)

    def receptive_field_size(self, num_frames: int = 1) -> int:
        """Compute size of receptive field

        Parameters
        ----------
        num_frames : int, optional
            Number of frames in the output signal.

        Returns
        -------
        receptive_field_size : int
            Receptive field size, in samples. Attention, which covers the whole window, is ignored.
        """
        return receptive_field_size(self.wavlm.config.convolutions, num_frames)

    def receptive_field_center(self, frame: int = 0) -> float:
        """Compute center of receptive field

        Parameters
        ----------
        frame : int, optional
            Frame index.

        Returns
        -------
        receptive_field_center : float
            Position of the center, in samples: 199.5 for the first frame, which covers samples 0
            to 399. Truncating the halves of even kernels, as the function of pyannote.audio does,
            would give 79, and start frames 7.5 ms before the audio.
        """
        size = self.receptive_field_size(1)
        hop = self.receptive_field_size(2) - size
        return frame * hop + (size - 1) / 2

    # pyannote.audio has keywords for models with more inputs, and tuples for several tasks
    def forward(self, waveforms: Tensor) -> Tensor:  # type: ignore[override]
        """Pass forward

        Parameters
        ----------
        waveforms : (batch_size, 1, num_samples) torch.Tensor

        Returns
        -------
        scores : (batch_size, num_frames, num_classes) torch.Tensor
        """
        self._check_waveforms(waveforms)
        return self.scores(self.wavlm(waveforms[:, 0]))

    def scores(self, hidden_states: Sequence[Tensor]) -> Tensor:
        """Pass hidden states of WavLM through the head

        Parameters
        ----------
        hidden_states : sequence of (batch_size, num_frames, embed_dim) torch.Tensor
            All of them: `model.scores(model.wavlm(waveforms[:, 0]))` is `model(waveforms)`.

        Returns
        -------
        scores : (batch_size, num_frames, num_classes) torch.Tensor
        """
        outputs = self.head.mix(hidden_states, self.layer_weights)
        # (batch_size, num_frames, embed_dim)

        if self.head.projection:
            outputs = self.norm(self.projection(outputs))
            # (batch_size, num_frames, input_dim)

        if self.head.lstm is None:
            outputs = run_conformer(self.conformer, outputs)
        else:
            outputs, _ = self.lstm(outputs)
        if self.head.linear.num_layers:
            for linear in self.linear:
                outputs = F.leaky_relu(linear(outputs))
        # (batch_size, num_frames, dimension)

        scores = self.classifier(outputs)
        if torch.is_autocast_enabled(scores.device.type):
            # losses and the permutation of speakers are computed in single precision
            scores = scores.float()
            with torch.autocast(scores.device.type, enabled=False):
                return self.activation(scores)
        return self.activation(scores)

    def in_precision(self, dtype: torch.dtype | None) -> WavLMSegmentation:
        """Make a view of this model, whose WavLM computes in another precision at inference

        Parameters
        ----------
        dtype : torch.dtype or None
            Type of matrix products: `torch.bfloat16`, or None for the type of weights.

        Returns
        -------
        view : WavLMSegmentation
            It shares the weights of this model, which does not change.
        """
        view = copy.copy(self)
        view._modules = self._modules | {"wavlm": self.wavlm.in_precision(dtype)}
        return view

    def on_fit_start(self) -> None:
        """Switch to training mode, and note the name of the protocol, and what a teacher is

        Models are loaded in evaluation mode, and Lightning does not change it. Frozen modules
        (`requires_grad` is false for all of their parameters) keep their mode.
        """
        super().on_fit_start()
        protocol = getattr(self.task, "protocol", None)
        self.provenance = self.provenance.trained(getattr(protocol, "name", None))
        # of tasks of this package that have one
        teacher = getattr(self.task, "teacher", None)
        if isinstance(teacher, WavLMSegmentation):
            self.provenance = self.provenance.distilled(teacher.provenance)
        frozen = [module for module in self.modules() if not module.training and _is_frozen(module)]
        self.train()
        for module in frozen:
            module.eval()

    def configure_callbacks(self) -> list[lightning.Callback]:
        """Add the callbacks of the task, if it has a method `configure_callbacks`

        Tasks of this package have such a method, tasks of pyannote.audio do not.
        """
        theirs = super().configure_callbacks()
        callbacks = [theirs] if isinstance(theirs, lightning.Callback) else list(theirs)
        if hasattr(self.task, "configure_callbacks"):
            callbacks += self.task.configure_callbacks()
        return callbacks

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, with a smaller learning rate for WavLM

        If the task has a method `configure_optimizers`, that method decides instead: this is how
        `DistillationPruning` has optimizer groups for gates and multipliers. Tasks of
        pyannote.audio have no such method.
        """
        if hasattr(self.task, "configure_optimizers"):
            return self.task.configure_optimizers()
        wavlm: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                (wavlm if name.startswith("wavlm.") else rest).append(parameter)
        groups = [
            {"params": wavlm, "lr": self.hparams["wavlm_learning_rate"]},
            {"params": rest, "lr": self.hparams["learning_rate"]},
        ]
        return torch.optim.AdamW([group for group in groups if group["params"]])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save specifications and provenance as plain values, which execute nothing when loaded"""
        super().on_save_checkpoint(checkpoint)
        ours = checkpoint["pyannote.audio"]
        if isinstance(ours["specifications"], Specifications):
            ours["specifications"] = with_plain_classes(ours["specifications"])
        if known := self.provenance.to_dict():
            checkpoint[PROVENANCE] = known

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint fits: pipelines load with `strict=False`, which does not"""
        architecture = checkpoint.get("pyannote.audio", {}).get("architecture", {})
        if architecture.get("class") != type(self).__name__:
            raise ValueError(
                f"The file must be a checkpoint of {type(self).__name__}, found "
                f"{architecture.get('class', 'no pyannote.audio model')}: "
                "load it with pyannote.audio's `Model.from_pretrained`."
            )
        super().on_load_checkpoint(checkpoint)
        check_keys(
            without_task_modules(self.state_dict()),
            without_task_modules(checkpoint["state_dict"]),
            source="the checkpoint",
        )
        if PROVENANCE in checkpoint:
            self.provenance = Provenance.from_dict(checkpoint[PROVENANCE])

    @classmethod
    def from_pretrained(cls, checkpoint: Any, *args: Any, **kwargs: Any) -> WavLMSegmentation:
        """Load pretrained model: see `pyannote.audio.Model.from_pretrained`

        pyannote.audio executes any code that a file in the format of PyTorch has: see
        `load_checkpoint`. A ".safetensors" file is loaded without executing anything (with
        `map_location` as only option), in evaluation mode.
        """
        if is_safetensors(checkpoint):
            return _from_safetensors(checkpoint, *args, **kwargs)
        model = super().from_pretrained(checkpoint, *args, **kwargs)
        if not isinstance(model, cls):
            raise ValueError(
                f"`checkpoint` must be a checkpoint of {cls.__name__}, found "
                f"{type(model).__name__}: load it with pyannote.audio's `Model.from_pretrained`."
            )
        return model

    def _check_waveforms(self, waveforms: Tensor) -> None:
        check_batch(waveforms)
        if not waveforms.isfinite().all():
            raise ValueError(
                "`waveforms` must be finite, found NaN or infinite samples: "
                "check the audio file and the augmentation."
            )


def _is_frozen(module: nn.Module) -> bool:
    """Whether a module has parameters, and trains none of them"""
    parameters = [*module.parameters()]
    return bool(parameters) and not any(p.requires_grad for p in parameters)


def _from_safetensors(
    path: str | Path, map_location: str | torch.device | None = None, strict: bool = True
) -> WavLMSegmentation:
    # weights that do not fit are always refused, strict or not
    model = rebuild(WavLMSegmentation, read_tensors(path), source=repr(str(path)))
    return model.to(map_location or "cpu")
