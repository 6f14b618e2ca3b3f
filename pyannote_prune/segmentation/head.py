"""Head of a segmentation model: layers between WavLM and the classifier"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from pyannote.audio.utils.params import merge_dict
from torch import Tensor
from torchaudio.models import Conformer

from ..files.messages import did_you_mean
from ..files.schema import refuse, rule, section
from .conformer import LAYERS, PrunableConformer, layer_configs, with_layers
from .conformer_gates import make_conformer
from .units import CONFORMER_CHANNEL, CONFORMER_HEAD, CONFORMER_NEURON

# arguments of `torchaudio.models.Conformer` in DiariZen, and in the paper
CONFORMER_DEFAULTS = {
    "input_dim": 256,
    "num_heads": 4,
    "ffn_dim": 1024,
    "num_layers": 4,
    "depthwise_conv_kernel_size": 31,
    "dropout": 0.1,
}
CONFORMER_OPTIONS = (*CONFORMER_DEFAULTS, "use_group_norm", "convolution_first", LAYERS)

# how hidden states of WavLM become one sequence, and the words for it
MIXTURES = {
    "sum": "weighted sum of hidden states",
    "softmax": "softmax-weighted sum of hidden states",
    "last": "last hidden state",
}


@dataclass(frozen=True)
class LSTMOptions:
    """Arguments of `torch.nn.LSTM`"""

    hidden_size: int = rule(128, minimum=1)
    num_layers: int = rule(4, minimum=1)
    bidirectional: bool = True
    dropout: float = rule(0.0, minimum=0, maximum=1)

    @property
    def dimension(self) -> int:
        """Number of output features"""
        return self.hidden_size * (2 if self.bidirectional else 1)


@dataclass(frozen=True)
class LinearOptions:
    """Feed-forward layers, each followed by a leaky ReLU"""

    hidden_size: int = rule(128, minimum=1)
    num_layers: int = rule(0, minimum=0)


@dataclass(frozen=True)
class Head:
    """Layers between WavLM and the classifier

    mixture of hidden states > projection > Conformer or LSTM > feed-forward layers

    Parameters
    ----------
    mixture : {"sum", "softmax", "last"}, optional
        "sum" (default) weights hidden states 0 to L by learned numbers. "softmax" weights states
        1 to L by the softmax of learned numbers. "last" takes state L.
    projection : bool, optional
        Whether a linear layer and a layer norm bring hidden states to the `input_dim` of the
        Conformer. Defaults to True.
    conformer : dict, optional
        Arguments of `torchaudio.models.Conformer`, see `WavLMSegmentation`. Without projection,
        its `input_dim` is the dimension of WavLM. Once it is pruned, also "layers": the sizes of
        each layer, as dictionaries of "first_neurons", "heads", "channels" and "second_neurons".
        Defaults to the Conformer of DiariZen, unless there is an LSTM.
    lstm : LSTMOptions, optional
        Arguments of `torch.nn.LSTM`, in place of the Conformer. Needs `projection=False`.
    linear : LinearOptions, optional
        Feed-forward layers before the classifier. Defaults to none.

    Raises
    ------
    ValueError
        If an option is unknown or impossible, or if there are both a Conformer and an LSTM.
    """

    mixture: str = rule("sum", choices=tuple(MIXTURES))
    projection: bool = True
    conformer: dict[str, Any] = field(default_factory=dict)
    lstm: LSTMOptions | None = None
    linear: LinearOptions = LinearOptions()

    def __post_init__(self) -> None:
        if self.mixture not in MIXTURES:
            expected = f"one of {', '.join(map(repr, MIXTURES))}"
            refuse("head.mixture", expected, self.mixture, MIXTURES)
        if self.lstm is None:
            object.__setattr__(self, "conformer", _conformer_options(self.conformer))
        elif self.conformer:
            refuse("head.lstm", "null when there is a Conformer", self.to_dict()["lstm"])
        elif self.projection:
            refuse("head.projection", "false with an LSTM", True)

    @classmethod
    def from_dict(cls, plain: Any) -> Head:
        """Make a head from plain values: inverse of `to_dict`

        Raises
        ------
        ValueError
            If a key is unknown, or if a value is impossible: the message names it.
        """
        return section(cls, plain, "head")

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain numbers, strings and dictionaries"""
        return asdict(self)

    def to_hparams(self) -> dict[str, Any]:
        """Describe the head in arguments of `WavLMSegmentation`

        As release 0.1.0 saves it, where that release has such a head.
        """
        return {"conformer": self.conformer} if self.is_default else {"head": self.to_dict()}

    @property
    def is_pruned(self) -> bool:
        """Whether layers of the Conformer have other sizes than those that torchaudio makes"""
        return LAYERS in self.conformer

    @property
    def is_default(self) -> bool:
        """Whether the head is described by its Conformer alone, as in DiariZen"""
        return self == Head(conformer=self.conformer)

    @property
    def dimension(self) -> int:
        """Number of features that the classifier takes"""
        if self.linear.num_layers:
            return self.linear.hidden_size
        return self.conformer["input_dim"] if self.lstm is None else self.lstm.dimension

    @property
    def summary(self) -> str:
        """One line for people

        >>> Head().summary
        'weighted sum of hidden states, Conformer of 4 layers of dimension 256'
        """
        parts = [MIXTURES[self.mixture]]
        if self.lstm is None:
            layers, dim = self.conformer["num_layers"], self.conformer["input_dim"]
            pruned = "pruned " if self.is_pruned else ""
            parts.append(f"{pruned}Conformer of {layers} layers of dimension {dim}")
        else:
            layers, dim = self.lstm.num_layers, self.lstm.dimension
            parts.append(f"LSTM of {layers} layers of dimension {dim}")
        if self.linear.num_layers:
            parts.append(
                f"{self.linear.num_layers} feed-forward layers of {self.linear.hidden_size} units"
            )
        return ", ".join(parts)

    @property
    def num_layers(self) -> int:
        """Number of layers of all kinds"""
        layers = self.conformer["num_layers"] if self.lstm is None else self.lstm.num_layers
        return layers + self.linear.num_layers

    def initial_weights(self, num_layers: int) -> Tensor | None:
        """Initial weights of the hidden states of an encoder of `num_layers` layers"""
        if self.mixture == "sum":
            return torch.full((num_layers + 1,), 1 / (num_layers + 1))
        return torch.ones(num_layers) if self.mixture == "softmax" else None

    def check_units(self, units: Collection[str]) -> None:
        """Refuse units that the head does not have

        Parameters
        ----------
        units : tuple of str
            Units of the head that are to have gates.

        Raises
        ------
        ValueError
            If there is no Conformer, if nothing of it is left to prune, or if its channels are
            normalized together: removing some would change the others.
        """
        names = ", ".join(map(repr, units))
        if not units:
            return
        if self.lstm is not None:
            raise ValueError(
                "`units` must be among those of WavLM for a head without Conformer, found "
                f"{names}: leave them out (this head has an LSTM)."
            )
        if CONFORMER_CHANNEL.name in units and self.conformer.get("use_group_norm", False):
            raise ValueError(
                f"`units` must not have {CONFORMER_CHANNEL.name!r} for a Conformer with "
                "`use_group_norm`, which normalizes all channels together, found it: leave it out."
            )
        layers = layer_configs(self.conformer)
        left = {
            CONFORMER_NEURON.name: any(x.first_neurons or x.second_neurons for x in layers),
            CONFORMER_HEAD.name: any(x.heads for x in layers),
            CONFORMER_CHANNEL.name: any(x.channels for x in layers),
        }
        if not any(left[unit] for unit in units):
            raise ValueError(
                f"`units` must leave something to prune, found {names}: this Conformer has none "
                "of them left."
            )

    def make_modules(self, embed_dim: int, units: Collection[str] = ()) -> dict[str, nn.Module]:
        """Make the modules, by name and in order

        Parameters
        ----------
        embed_dim : int
            Dimension of hidden states.
        units : tuple of str, optional
            Units of the head that have gates. Defaults to none.

        Raises
        ------
        ValueError
            If `embed_dim` does not fit, or if the head does not have these units.
        """
        self.check_units(units)
        modules: dict[str, nn.Module] = {}
        if self.lstm is not None:
            modules["lstm"] = nn.LSTM(embed_dim, batch_first=True, **asdict(self.lstm))
            dim = self.lstm.dimension
        else:
            dim = self.conformer["input_dim"]
            if self.projection:
                modules["projection"] = nn.Linear(embed_dim, dim)
                modules["norm"] = nn.LayerNorm(dim)
            elif dim != embed_dim:
                expected = f"{embed_dim}, as in WavLM, without `projection`"
                refuse("head.conformer.input_dim", expected, dim)
            modules["conformer"] = make_conformer(self.conformer, units)
        if self.linear.num_layers:
            dims = [dim, *[self.linear.hidden_size] * self.linear.num_layers]
            modules["linear"] = nn.ModuleList(map(nn.Linear, dims, dims[1:]))
        return modules

    def mix(self, states: Sequence[Tensor], weights: Tensor | None) -> Tensor:
        """Mix hidden states

        Parameters
        ----------
        states : sequence of (batch_size, num_frames, embed_dim) torch.Tensor
            Hidden states 0 to L.
        weights : torch.Tensor or None
            See `initial_weights`.

        Returns
        -------
        mixed : (batch_size, num_frames, embed_dim) torch.Tensor
        """
        if weights is None:
            return states[-1]
        if self.mixture == "softmax":
            states, weights = states[1:], F.softmax(weights, dim=0)
        return sum(w * hidden for w, hidden in zip(weights, states, strict=True))


def make_head(conformer: Mapping[str, Any] | None, head: Head | Mapping[str, Any] | None) -> Head:
    """Make a head from the two arguments of `WavLMSegmentation`, of which one at most is given"""
    if head is None:
        return Head(conformer=dict(conformer or {}))
    if conformer:
        raise ValueError(
            "`conformer` must be None when `head` is given, found both: give `head.conformer`."
        )
    return head if isinstance(head, Head) else Head.from_dict(head)


def _conformer_options(options: Mapping[str, Any]) -> dict[str, Any]:
    for key in options:
        if key not in CONFORMER_OPTIONS:
            raise ValueError(
                f"Unknown key {key!r} in `conformer`{did_you_mean(key, CONFORMER_OPTIONS)}: "
                "it takes the arguments of `torchaudio.models.Conformer`."
            )
    merged = merge_dict(CONFORMER_DEFAULTS, dict(options))
    return with_layers(merged, layer_configs(merged)) if LAYERS in merged else merged


def run_conformer(conformer: Conformer | PrunableConformer, inputs: Tensor) -> Tensor:
    """Pass sequences of the same length forward

    `Conformer.forward` of torchaudio (2.11) makes a padding mask from lengths, which slows
    attention down. Windows of a batch all have the same length: its layers are called one by one,
    without a mask.

    Parameters
    ----------
    conformer : torchaudio.models.Conformer or PrunableConformer
    inputs : (batch_size, num_frames, input_dim) torch.Tensor

    Returns
    -------
    outputs : (batch_size, num_frames, input_dim) torch.Tensor
    """
    outputs = inputs.transpose(0, 1)
    for layer in conformer.conformer_layers:
        outputs = layer(outputs, key_padding_mask=None)
    return outputs.transpose(0, 1)
