"""Write models in the layout of released ones, for use without the hub"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...segmentation.contents import without_task_modules
from ...segmentation.model import WavLMSegmentation
from ...segmentation.specifications import class_names, single_specifications
from ...wavlm.config import WavLMConfig
from .repository import CONFIG, WEIGHTS

WAVLM_FILE = "wavlm_tiny_base.bin"

SETTINGS = """
[inference.args]
seg_duration = {duration:g}
segmentation_step = 0.1
batch_size = 32
apply_median_filtering = true

[clustering.args]
method = "VBxClustering"
min_speakers = 1
max_speakers = 20
ahc_criterion = "distance"
ahc_threshold = 0.6
Fa = 0.07
Fb = 0.8
lda_dim = 128
max_iters = 20
"""

WAVLM_NAMES = {
    "extractor.scale": "feature_extractor.dummy_weight",
    "extractor.convolutions.": "feature_extractor.conv_layers.",
    "projection.norm.": "encoder.feature_projection.layer_norm.",
    "projection.linear.": "encoder.feature_projection.projection.",
    "position.conv.": "encoder.transformer.pos_conv_embed.conv.",
    "position_bias.embedding.": "encoder.transformer.layers.0.attention.rel_attn_embed.",
    ".feed_forward.input.": ".feed_forward.intermediate_dense.",
    ".feed_forward.output.": ".feed_forward.output_dense.",
    ".query.": ".q_proj.",
    ".key.": ".k_proj.",
    ".value.": ".v_proj.",
    ".attention.output.": ".attention.out_proj.",
    ".gate_linear.": ".gru_rel_pos_linear.",
    ".gate_constant": ".gru_rel_pos_const",
    ".attention_norm.": ".layer_norm.",
    ".feed_forward_norm.": ".final_layer_norm.",
    ".norm.": ".layer_norm.",
}
HEAD_NAMES = {
    "layer_weights": "weight_sum.weight",
    "projection.": "proj.",
    "norm.": "lnorm.",
    "conformer.conformer_layers.": "conformer.conformer_layer.",
    ".self_attn_layer_norm.": ".mha.ln_norm.",
    ".self_attn.out_proj.": ".mha.mha.linearO.",
    ".conv_module.layer_norm.": ".conv.ln_norm.",
    ".conv_module.sequential.0.": ".conv.pointwise_conv1.",
    ".conv_module.sequential.2.": ".conv.depthwise_conv.",
    ".conv_module.sequential.3.": ".conv.bn_norm.",
    ".conv_module.sequential.5.": ".conv.pointwise_conv2.",
    ".sequential.0.": ".ln_norm.",
    ".sequential.1.": ".w_1.",
    ".sequential.4.": ".w_2.",
    ".final_layer_norm.": ".ln_norm.",
}


def write_stand_in(model: WavLMSegmentation, folder: str | Path) -> Path:
    """Write a model in the layout of released ones

    Tests and tutorials use it in place of a model of the hub. The inference settings are the same
    as in released models, except for the window length, which comes from the model.

    Parameters
    ----------
    model : WavLMSegmentation
        With specifications, without gates.
    folder : str or Path
        Folder to write. Must not exist.

    Returns
    -------
    folder : Path
        For `load_diarizen` and `load_settings`.

    Raises
    ------
    FileExistsError
        If `folder` exists.
    ValueError
        If the head is not the one of these models: pruned, for instance.
    """
    if not model.head.is_default or model.head.is_pruned:
        raise ValueError(
            "`model` must have a weighted sum and a dense Conformer as released models do, found "
            f"{model.head.summary}: save it with `save_checkpoint`."
        )
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(_config(model), encoding="utf-8")
    wavlm = _rename_wavlm(model.wavlm.state_dict())
    structure = _describe(model.wavlm.config)
    torch.save({"config": structure, "state_dict": wavlm}, folder / WAVLM_FILE)
    head = without_task_modules(model.state_dict())
    head = {key: value for key, value in head.items() if not key.startswith("wavlm.")}
    weights = {f"wavlm_model.{key}": value for key, value in wavlm.items()} | _rename_head(head)
    torch.save(weights, folder / WEIGHTS)
    return folder


def _config(model: WavLMSegmentation) -> str:
    conformer, specifications = model.hparams["conformer"], single_specifications(model)
    arguments = {
        "wavlm_src": f'"{WAVLM_FILE}"',
        "wavlm_layer_num": model.wavlm.config.num_layers + 1,
        "wavlm_feat_dim": model.wavlm.config.embed_dim,
        "attention_in": conformer["input_dim"],
        "ffn_hidden": conformer["ffn_dim"],
        "num_head": conformer["num_heads"],
        "num_layer": conformer["num_layers"],
        "kernel_size": conformer["depthwise_conv_kernel_size"],
        "dropout": conformer["dropout"],
        "use_posi": "false",
        "output_activate_function": "false",
        "max_speakers_per_chunk": len(class_names(specifications)),
        "max_speakers_per_frame": specifications.powerset_max_classes,
        "chunk_size": f"{specifications.duration:g}",
        "selected_channel": 0,
    }
    return (
        '[model]\npath = "diarizen.models.eend.model_wavlm_conformer.Model"\n[model.args]\n'
        + "".join(f"{name} = {value}\n" for name, value in arguments.items())
        + SETTINGS.format(duration=specifications.duration)
    )


def _rename_wavlm(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for key, tensor in state_dict.items():
        if key.startswith(("layers.", "norm.")):
            key = f"encoder.transformer.{key}"
        key = _substitute(key, WAVLM_NAMES)
        renamed[key] = tensor[None, :, None, None] if key.endswith("gru_rel_pos_const") else tensor
    return renamed


def _rename_head(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for key, tensor in state_dict.items():
        stem, found, leaf = key.partition(".self_attn.in_proj_")
        if found:
            stem = _substitute(stem + ".", HEAD_NAMES)
            for letter, part in zip("QKV", tensor.chunk(3), strict=True):
                renamed[f"{stem}mha.mha.linear{letter}.{leaf}"] = part
        else:
            renamed[_substitute(key, HEAD_NAMES)] = tensor
    renamed["weight_sum.weight"] = renamed["weight_sum.weight"][None]
    return renamed


def _substitute(key: str, names: Mapping[str, str]) -> str:
    for ours, theirs in names.items():
        if key.startswith(ours) or (ours.startswith(".") and ours in key):
            key = key.replace(ours, theirs, 1)
    return key


def _describe(config: WavLMConfig) -> dict[str, Any]:
    """DiariZen's description of an encoder"""
    layers = config.layers
    return {
        "extractor_mode": f"{config.conv_norm}_norm",
        "extractor_conv_layer_config": [
            (c.channels, c.kernel, c.stride) for c in config.convolutions
        ],
        "extractor_conv_bias": config.conv_bias,
        "encoder_embed_dim": config.embed_dim,
        "encoder_projection_dropout": config.projection_dropout,
        "encoder_pos_conv_kernel": config.position_kernel,
        "encoder_pos_conv_groups": config.position_groups,
        "encoder_num_layers": len(layers),
        "encoder_use_attention": [bool(layer.heads) for layer in layers],
        "encoder_use_feed_forward": [layer.neurons > 0 for layer in layers],
        "encoder_total_num_heads": [config.num_heads for _ in layers],
        "encoder_remaining_heads": [list(layer.heads) for layer in layers],
        "encoder_num_buckets": config.num_buckets,
        "encoder_max_distance": config.max_distance,
        "encoder_attention_dropout": config.attention_dropout,
        "encoder_ff_interm_features": [layer.neurons for layer in layers],
        "encoder_ff_interm_dropout": config.activation_dropout,
        "encoder_dropout": config.dropout,
        "encoder_layer_norm_first": config.norm_first,
        "encoder_layer_drop": config.layer_drop,
        "aux_num_out": None,
        "normalize_waveform": config.normalize_waveform,
    }
