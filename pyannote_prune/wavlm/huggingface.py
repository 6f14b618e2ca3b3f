"""Load WavLM in Hugging Face layout"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Literal, cast

import transformers
from safetensors import SafetensorError

from ..files.inside import find_inside
from .config import ConvolutionConfig, LayerConfig, WavLMConfig
from .encoder import WavLM
from .foreign_names import rename_keys
from .presets import PRESETS
from .weights import load_exactly, refuse_differences

# Options of `config.json` that are read. Others are ignored: with some of them, `transformers`
# would import code of the folder, download and run kernels, or import quantizers.
REQUIRED = {
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "layer_norm_eps": 1e-5,
    "add_adapter": False,
}
OPTIONS = (
    *REQUIRED,
    *("conv_dim", "conv_kernel", "conv_stride", "conv_bias", "feat_extract_norm"),
    *("num_feat_extract_layers", "hidden_size", "intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "do_stable_layer_norm", "num_conv_pos_embeddings"),
    *("num_conv_pos_embedding_groups", "num_buckets", "max_bucket_distance", "feat_proj_dropout"),
    *("hidden_dropout", "attention_dropout", "activation_dropout", "layerdrop"),
)

# errors that damaged weights raise
DAMAGED = (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError)


def load_huggingface(source: str | Path) -> WavLM:
    """Load a pretrained encoder from the hub or from a local folder

    Parameters
    ----------
    source : str or Path
        Hub id (such as "microsoft/wavlm-base-plus") or local folder in the same layout.

    Raises
    ------
    OSError
        If `source` is neither.
    ValueError
        If it is not a WavLM encoder, if its file is damaged, or if a key is missing, unexpected
        or misshapen.
    """
    try:
        config = _read_config(source)
        _check_shards(Path(source))
        # annotated as if there were no report
        loaded: Any = transformers.WavLMModel.from_pretrained(
            source, config=config, output_loading_info=True, ignore_mismatched_sizes=True
        )
        model, report = loaded
    except (OSError, *DAMAGED) as error:
        if not _is_damaged(error):
            raise _not_found(source, error) from error
        raise ValueError(
            f"Weights of {str(source)!r} could not be read: the file is damaged, or holds Python "
            "objects that could execute code. Download or copy it again."
        ) from error
    _check_report(report, source)
    return from_transformers(model)


def _read_config(source: str | Path) -> transformers.WavLMConfig:
    plain, _ = transformers.WavLMConfig.get_config_dict(source)
    kind = plain.get("model_type")
    if kind != transformers.WavLMConfig.model_type:
        raise ValueError(
            f"`wavlm` must be a WavLM encoder: {str(source)!r} is of type {kind!r}. Try "
            "'microsoft/wavlm-base-plus'."
        )
    try:
        config = transformers.WavLMConfig(**{k: plain[k] for k in OPTIONS if k in plain})
        config_from_transformers(config)  # before anything is made of these numbers
    # what `transformers` raises depends on its version
    except Exception as error:
        raise ValueError(
            f"`config.json` of {str(source)!r} does not describe a WavLM encoder: {error}"
        ) from error
    return config


def _check_shards(folder: Path) -> None:
    """Refuse weights in several files if one of them is outside of the folder"""
    for index in folder.glob("*.index.json"):
        for name in _shards(index):
            if find_inside(folder, name) is None:
                raise ValueError(
                    f"`weight_map` must name files inside {str(folder)!r}, found {name!r} in "
                    f"{str(index)!r}."
                )


def _shards(index: Path) -> list[Any]:
    try:
        return list(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{str(index)!r} does not say where weights are. Download or copy it again."
        ) from error


def _is_damaged(error: BaseException | None) -> bool:
    """Whether weights are damaged, which `transformers` before 5 raises as an OSError"""
    while error is not None and not isinstance(error, DAMAGED):
        error = error.__context__
    return error is not None


def _not_found(source: str | Path, error: Exception) -> OSError:
    preset = (
        f" For the structure alone, use `WavLMConfig.preset({str(source)!r})`."
        if str(source) in PRESETS
        else ""
    )
    return OSError(
        f"`wavlm` must be a hub id or a local folder in Hugging Face layout: {str(source)!r} "
        f"could not be read.{preset} If this is a hub id, check its spelling and your "
        "connection (or HF_HUB_OFFLINE); without network, give a folder that has its files. "
        f"{error}"
    )


def from_transformers(
    model: transformers.WavLMModel, normalize_waveform: bool | None = None
) -> WavLM:
    """Convert an encoder of `transformers`

    Parameters
    ----------
    model : transformers.WavLMModel
        Left as it was.
    normalize_waveform : bool, optional
        In `transformers`, an option of its feature extractor. Defaults to its value in the training
        of WavLM: true for models that normalize every convolution (Large), false for others (Base).
    """
    wavlm = WavLM(config_from_transformers(model.config, normalize_waveform))
    state_dict = rename_keys(model.state_dict())
    # embedding of masked frames, for pretraining, and scale, for pruned encoders only
    state_dict.pop("masked_spec_embed", None)
    state_dict["extractor.scale"] = wavlm.extractor.scale.data
    load_exactly(wavlm, state_dict, "the `transformers` model")
    return wavlm.train(model.training)


def config_from_transformers(
    config: transformers.WavLMConfig, normalize_waveform: bool | None = None
) -> WavLMConfig:
    """Convert the configuration of a `transformers` encoder

    Raises
    ------
    ValueError
        If an option has a value that WavLM does not have: the message names it.
    """
    for name, value in REQUIRED.items():
        if getattr(config, name) != value:
            raise ValueError(
                f"`{name}` must be {value!r} in the configuration of `wavlm`, "
                f"found {getattr(config, name)!r}."
            )
    heads = tuple(range(config.num_attention_heads))
    large = config.feat_extract_norm == "layer"
    return WavLMConfig(
        convolutions=tuple(
            ConvolutionConfig(*shape)
            for shape in zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True)
        ),
        layers=(LayerConfig(heads, config.intermediate_size),) * config.num_hidden_layers,
        embed_dim=config.hidden_size,
        num_heads=config.num_attention_heads,
        conv_norm=cast(Literal["group", "layer"], config.feat_extract_norm),
        conv_bias=config.conv_bias,
        norm_first=config.do_stable_layer_norm,
        normalize_waveform=large if normalize_waveform is None else normalize_waveform,
        position_kernel=config.num_conv_pos_embeddings,
        position_groups=config.num_conv_pos_embedding_groups,
        num_buckets=config.num_buckets,
        max_distance=config.max_bucket_distance,
        projection_dropout=config.feat_proj_dropout,
        dropout=config.hidden_dropout,
        attention_dropout=config.attention_dropout,
        activation_dropout=config.activation_dropout,
        layer_drop=config.layerdrop,
    )


def _check_report(report: dict, source: str | Path) -> None:
    """Refuse incomplete weights, to which `transformers` adds random ones"""
    refuse_differences(
        {
            # embedding of masked frames, for pretraining only
            "missing": sorted(set(report["missing_keys"]) - {"masked_spec_embed"}),
            "unexpected": sorted(report["unexpected_keys"]),
            "misshapen": [
                f"{key} (expected {tuple(expected)}, found {tuple(found)})"
                for key, found, expected in sorted(report["mismatched_keys"])
            ],
        },
        repr(str(source)),
    )
