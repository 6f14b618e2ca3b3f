"""Convert state dicts of DiariZen"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...wavlm.foreign_names import rename_keys

WAVLM_PREFIX = "wavlm_model."

# names of the modules of the segmentation head, in DiariZen and here
HEAD_NAMES = {
    "weight_sum.weight": "layer_weights",
    "proj.": "projection.",
    "lnorm.": "norm.",
    "conformer.conformer_layer.": "conformer.conformer_layers.",
    ".mha.ln_norm.": ".self_attn_layer_norm.",
    ".mha.mha.linearO.": ".self_attn.out_proj.",
    ".conv.ln_norm.": ".conv_module.layer_norm.",
    ".conv.pointwise_conv1.": ".conv_module.sequential.0.",
    ".conv.depthwise_conv.": ".conv_module.sequential.2.",
    ".conv.bn_norm.": ".conv_module.sequential.3.",
    ".conv.pointwise_conv2.": ".conv_module.sequential.5.",
    ".ffn1.ln_norm.": ".ffn1.sequential.0.",
    ".ffn1.w_1.": ".ffn1.sequential.1.",
    ".ffn1.w_2.": ".ffn1.sequential.4.",
    ".ffn2.ln_norm.": ".ffn2.sequential.0.",
    ".ffn2.w_1.": ".ffn2.sequential.1.",
    ".ffn2.w_2.": ".ffn2.sequential.4.",
    ".ln_norm.": ".final_layer_norm.",
}


def convert_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename and reshape the weights of DiariZen's model as in `WavLMSegmentation`"""
    prefix = WAVLM_PREFIX
    encoder = {k.removeprefix(prefix): v for k, v in state_dict.items() if k.startswith(prefix)}
    head = {_rename_head(k): v for k, v in state_dict.items() if not k.startswith(prefix)}
    if "layer_weights" in head:
        head["layer_weights"] = head["layer_weights"].flatten()
    return {f"wavlm.{k}": v for k, v in rename_keys(encoder).items()} | _stack_projections(head)


def _rename_head(key: str) -> str:
    for theirs, ours in HEAD_NAMES.items():
        key = key.replace(theirs, ours)
    return key


def _stack_projections(head: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stack queries, keys and values of the Conformer, as in PyTorch's attention"""
    stacked = dict(head)
    for key in head:
        module, found, leaf = key.partition(".mha.mha.linearQ.")
        parts = [f"{module}.mha.mha.linear{letter}.{leaf}" for letter in "QKV"]
        if found and _fit([head[part] for part in parts if part in head]):
            projections = [stacked.pop(part) for part in parts]
            stacked[f"{module}.self_attn.in_proj_{leaf}"] = torch.cat(projections)
    return stacked


def _fit(tensors: Sequence[Tensor]) -> bool:
    """Whether these are three tensors to stack. Others keep their names, for a readable error"""
    kinds = {(tensor.shape, tensor.dtype) for tensor in tensors}
    return len(tensors) == 3 and len(kinds) == 1 and tensors[0].ndim > 0
