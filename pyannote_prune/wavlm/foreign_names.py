"""Names of weights in other implementations of WavLM"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

# Names in DiariZen (after torchaudio) and in `transformers`, and our names. Modules have the same
# names in both, once prefixes that only one of them has are removed.
PREFIXES = {
    "encoder.transformer.": "encoder.",
    "encoder.feature_projection.": "feature_projection.",
}
NAMES = {
    "feature_extractor.dummy_weight": "extractor.scale",
    "feature_extractor.conv_layers.": "extractor.convolutions.",
    "feature_projection.layer_norm.": "projection.norm.",
    "feature_projection.projection.": "projection.linear.",
    "encoder.pos_conv_embed.": "position.",
    "encoder.layer_norm.": "norm.",
    "encoder.layers.0.attention.rel_attn_embed.": "position_bias.embedding.",
    "encoder.layers.": "layers.",
    ".q_proj.": ".query.",
    ".k_proj.": ".key.",
    ".v_proj.": ".value.",
    ".out_proj.": ".output.",
    ".gru_rel_pos_linear.": ".gate_linear.",
    ".gru_rel_pos_const": ".gate_constant",
    ".feed_forward.intermediate_dense.": ".feed_forward.input.",
    ".feed_forward.output_dense.": ".feed_forward.output.",
    ".final_layer_norm.": ".feed_forward_norm.",
}


def rename_key(key: str) -> str:
    """Rename one key of DiariZen's or `transformers`' WavLM

    >>> rename_key("encoder.transformer.layers.3.attention.q_proj.weight")
    'layers.3.attention.query.weight'
    """
    for theirs, ours in (PREFIXES | NAMES).items():
        key = key.replace(theirs, ours)
    # three more modules are called "layer_norm", in convolutions and in Transformer layers
    ours = "norm" if key.startswith("extractor.") else "attention_norm"
    return key.replace(".layer_norm.", f".{ours}.")


def rename_keys(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename and reshape the weights of DiariZen's or `transformers`' WavLM as in ours"""
    converted = {rename_key(key): tensor for key, tensor in state_dict.items()}
    for key, tensor in converted.items():
        if key.endswith(".gate_constant"):
            converted[key] = tensor.flatten()
    return converted
