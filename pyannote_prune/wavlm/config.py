"""Structure of a WavLM encoder, dense or pruned"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from ..files.messages import did_you_mean, shorten
from . import presets
from .presets import PRESETS

# larger encoders do not fit in memory, and may overflow in PyTorch
MAXIMUM = 2**31 - 1


@dataclass(frozen=True)
class ConvolutionConfig:
    """One convolution of the feature extractor

    Parameters
    ----------
    channels : int
        Number of output channels that are left.
    kernel, stride : int
        In samples for the first convolution, in frames of the previous one for the others.
    """

    channels: int
    kernel: int
    stride: int


@dataclass(frozen=True)
class LayerConfig:
    """One Transformer layer

    Parameters
    ----------
    heads : tuple of int
        Indices, in the dense encoder, of attention heads that are left. Empty if the attention
        block is removed.
    neurons : int
        Number of feed-forward neurons that are left. Zero if the feed-forward block is removed.
    """

    heads: tuple[int, ...]
    neurons: int


@dataclass(frozen=True)
class WavLMConfig:
    """Structure of a WavLM encoder, dense or pruned

    Parameters
    ----------
    convolutions : tuple of ConvolutionConfig
        Convolutions of the feature extractor.
    layers : tuple of LayerConfig
        Transformer layers.
    embed_dim : int
        Dimension of hidden states.
    num_heads : int
        Number of attention heads of a dense layer. A head has `embed_dim // num_heads`
        dimensions, however many of them are left.
    conv_norm : {"group", "layer"}
        "group" normalizes each channel of the first convolution over time (Base).
        "layer" normalizes each frame of every convolution over channels (Large).
    conv_bias : bool
        Whether convolutions of the feature extractor have a bias.
    norm_first : bool
        Whether Transformer blocks normalize their input (Large) or their output (Base).
    normalize_waveform : bool
        Whether each waveform is brought to zero mean and unit variance (Large).
    position_kernel, position_groups : int
        Kernel size and number of groups of the convolutional position embedding.
    num_buckets, max_distance : int
        Number of buckets of the relative position bias and distance, in frames,
        beyond which all positions share the last bucket.
    projection_dropout, dropout, attention_dropout, activation_dropout : float
        Dropout after the feature projection, after each block, on attention weights,
        and on feed-forward neurons.
    layer_drop : float
        Probability of skipping a layer during training.

    Raises
    ------
    ValueError
        If a value is impossible: the message names the field.

    References
    ----------
    Chen et al., "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech
    Processing", IEEE Journal of Selected Topics in Signal Processing, 2022.
    """

    convolutions: tuple[ConvolutionConfig, ...]
    layers: tuple[LayerConfig, ...]
    embed_dim: int
    num_heads: int
    conv_norm: Literal["group", "layer"] = "group"
    conv_bias: bool = False
    norm_first: bool = False
    normalize_waveform: bool = False
    position_kernel: int = 128
    position_groups: int = 16
    num_buckets: int = 320
    max_distance: int = 800
    projection_dropout: float = 0.1
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    layer_drop: float = 0.05

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_convolutions()
        self._check_layers()

    @property
    def head_dim(self) -> int:
        """Dimension of one attention head"""
        return self.embed_dim // self.num_heads

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    @classmethod
    def preset(cls, name: str) -> WavLMConfig:
        """Make a published structure, or a tiny one

        Parameters
        ----------
        name : {"base", "large", "base-s80-md", "large-s80-md", "tiny"}
            "base" (also Base+) and "large" are dense. The "s80-md" ones had 80% of their
            parameters pruned on several diarization corpora. "tiny" is dense, for trying things:
            4 layers of dimension 96, with 4 heads and 384 neurons, on convolutions of 32 channels.

        Raises
        ------
        ValueError
            If there is no such preset.
        """
        if name not in PRESETS:
            raise ValueError(
                f"`name` must be one of {', '.join(map(repr, PRESETS))}, found {name!r}"
                f"{did_you_mean(name, PRESETS)}. For weights, give "
                "`WavLMSegmentation(wavlm=...)` a hub id or a local folder instead."
            )
        return cls.from_dict(PRESETS[name])

    @classmethod
    def dense(
        cls, num_layers: int, neurons: int, channels: int = 512, **options: Any
    ) -> WavLMConfig:
        """Make the structure of a dense encoder

        Parameters
        ----------
        num_layers : int
        neurons : int
            Number of neurons of each feed-forward block.
        channels : int, optional
            Number of channels of each convolution. Defaults to 512.
        **options
            Other arguments, `num_heads` and `embed_dim` included.
        """
        return cls.from_dict(presets.dense(num_layers, neurons, channels, **options))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain numbers, strings, lists and dictionaries"""
        plain = asdict(self)
        plain["convolutions"] = [asdict(c) for c in self.convolutions]
        plain["layers"] = [
            {"heads": list(layer.heads), "neurons": layer.neurons} for layer in self.layers
        ]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> WavLMConfig:
        """Inverse of `to_dict`

        Raises
        ------
        ValueError
            If a key is missing or unknown, or if a value is impossible.
        """
        values = _known(cls, plain, "the WavLM configuration")
        values["convolutions"] = tuple(
            ConvolutionConfig(**_known(ConvolutionConfig, c, f"`convolutions[{i}]`"))
            for i, c in enumerate(check_list("convolutions", values["convolutions"]))
        )
        layers = [
            _known(LayerConfig, layer, f"`layers[{i}]`")
            for i, layer in enumerate(check_list("layers", values["layers"]))
        ]
        values["layers"] = tuple(
            LayerConfig(tuple(check_list(f"layers[{i}].heads", layer["heads"])), layer["neurons"])
            for i, layer in enumerate(layers)
        )
        return cls(**values)

    def _check_numbers(self) -> None:
        for name in ("embed_dim", "num_heads", "position_kernel", "position_groups"):
            _check_count(name, getattr(self, name), minimum=1)
        for name in ("conv_bias", "norm_first", "normalize_waveform"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(
                    f"`{name}` must be true or false, found {shorten(getattr(self, name))}."
                )
        for name in (
            "projection_dropout",
            "dropout",
            "attention_dropout",
            "activation_dropout",
            "layer_drop",
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(
                    f"`{name}` must be in [0, 1), found {shorten(value)}: it is a probability."
                )
        if self.conv_norm not in ("group", "layer"):
            raise ValueError(
                f'`conv_norm` must be "group" or "layer", found {shorten(self.conv_norm)}.'
            )
        for divisor in ("num_heads", "position_groups"):
            if self.embed_dim % getattr(self, divisor):
                raise ValueError(
                    f"`embed_dim` must be a multiple of `{divisor}`, found {self.embed_dim} "
                    f"and {getattr(self, divisor)}."
                )
        # half of the buckets are for each direction, and half of these for exact distances
        _check_count("num_buckets", self.num_buckets, minimum=4)
        _check_count("max_distance", self.max_distance, minimum=self.num_buckets // 4 + 1)

    def _check_convolutions(self) -> None:
        if not self.convolutions:
            raise ValueError("`convolutions` must not be empty: WavLM has seven of them.")
        for i, convolution in enumerate(self.convolutions):
            for name in ("channels", "kernel", "stride"):
                value = getattr(convolution, name)
                _check_count(f"convolutions[{i}].{name}", value, minimum=1)

    def _check_layers(self) -> None:
        if not self.layers:
            raise ValueError("`layers` must not be empty: WavLM has at least one of them.")
        for i, layer in enumerate(self.layers):
            _check_count(f"layers[{i}].neurons", layer.neurons, minimum=0)
            for head in layer.heads:
                _check_count(f"layers[{i}].heads", head, minimum=0)
            if list(layer.heads) != sorted(set(layer.heads) & set(range(self.num_heads))):
                raise ValueError(
                    f"`layers[{i}].heads` must be increasing indices below {self.num_heads} "
                    f"(`num_heads`), found {shorten(list(layer.heads))}: heads keep the index that "
                    "they have in the dense encoder."
                )


def check_list(name: str, value: Any) -> Sequence:
    if not isinstance(value, list | tuple):
        raise ValueError(f"`{name}` must be a list, found {shorten(value)}.")
    return value


def _check_count(name: str, value: Any, minimum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= MAXIMUM:
        found = shorten(value)
        raise ValueError(f"`{name}` must be an integer, at least {minimum}, found {found}.")


def _known(cls: type, plain: Any, what: str) -> dict[str, Any]:
    """Check that the keys of `plain` are fields of `cls`, without any of them missing"""
    if not isinstance(plain, Mapping):
        raise ValueError(f"{what} must be a dictionary, found {type(plain).__name__}.")
    names = [field.name for field in fields(cls)]
    for key in plain:
        if key not in names:
            raise ValueError(f"Unknown key {shorten(key)} in {what}{did_you_mean(key, names)}.")
    if missing := [name for name in names if name not in plain and not _has_default(cls, name)]:
        raise ValueError(f"Missing keys in {what}: {', '.join(map(repr, missing))}.")
    return dict(plain)


def _has_default(cls: type, name: str) -> bool:
    return hasattr(cls, name)
