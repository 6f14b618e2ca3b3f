"""A repository in the layout of DiariZen, for where ../shared is absent"""

from pathlib import Path

import torch
from helpers import TINY
from torch import Tensor

from pyannote_prune import WavLMConfig, WavLMSegmentation
from pyannote_prune.specifications import powerset_specifications
from pyannote_prune.wavlm.presets import dense

CONFIG = """[meta]
seed = 3407

[model]
path = "diarizen.models.eend.model_wavlm_conformer.Model"
[model.args]
wavlm_src = "wavlm_tiny_base.bin"
wavlm_layer_num = 5
wavlm_feat_dim = 48
attention_in = 32
ffn_hidden = 64
num_head = 4
num_layer = 2
kernel_size = 7
dropout = 0.1
use_posi = false
output_activate_function = false
max_speakers_per_chunk = 4
max_speakers_per_frame = 2
chunk_size = 16
selected_channel = 0

[inference.args]
seg_duration = 16
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


def random_model() -> WavLMSegmentation:
    """Model that `CONFIG` describes"""
    return with_head(dense(num_layers=4, neurons=40, channels=12, **TINY))


def pruned_model(case: str) -> WavLMSegmentation:
    """Same head on a published structure"""
    return with_head(WavLMConfig.preset(case.replace("_", "-")))


def with_head(config: WavLMConfig) -> WavLMSegmentation:
    conformer = {"input_dim": 32, "ffn_dim": 64, "num_layers": 2, "depthwise_conv_kernel_size": 7}
    model = WavLMSegmentation(wavlm=config, conformer=conformer)
    model.specifications = powerset_specifications(16.0, 4, 2)
    model.setup()
    return model.eval()


def write_repository(model: WavLMSegmentation, folder: Path):
    """Write `model` as DiariZen would"""
    folder.mkdir()
    text = CONFIG.replace("layer_num = 5", f"layer_num = {model.wavlm.config.num_layers + 1}")
    text = text.replace("feat_dim = 48", f"feat_dim = {model.wavlm.config.embed_dim}")
    (folder / "config.toml").write_text(text)
    wavlm = wavlm_names(model.wavlm.state_dict())
    config = describe(model.wavlm.config)
    torch.save({"config": config, "state_dict": wavlm}, folder / "wavlm_tiny_base.bin")
    head = {k: v for k, v in model.state_dict().items() if not k.startswith("wavlm.")}
    whole = {f"wavlm_model.{k}": v for k, v in wavlm.items()} | head_names(head)
    torch.save(whole, folder / "pytorch_model.bin")


def wavlm_names(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for key, tensor in state_dict.items():
        if key.startswith(("layers.", "norm.")):
            key = f"encoder.transformer.{key}"
        key = substitute(key, WAVLM_NAMES)
        renamed[key] = tensor[None, :, None, None] if key.endswith("gru_rel_pos_const") else tensor
    return renamed


def head_names(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for key, tensor in state_dict.items():
        stem, found, leaf = key.partition(".self_attn.in_proj_")
        if found:
            stem = substitute(stem + ".", HEAD_NAMES)
            for letter, part in zip("QKV", tensor.chunk(3), strict=True):
                renamed[f"{stem}mha.mha.linear{letter}.{leaf}"] = part
        else:
            renamed[substitute(key, HEAD_NAMES)] = tensor
    renamed["weight_sum.weight"] = renamed["weight_sum.weight"][None]
    return renamed


def substitute(key: str, names: dict[str, str]) -> str:
    for ours, theirs in names.items():
        if key.startswith(ours) or (ours.startswith(".") and ours in key):
            key = key.replace(ours, theirs, 1)
    return key


def describe(config: WavLMConfig) -> dict:
    """DiariZen's description of a dense encoder"""
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
        "encoder_use_attention": [True for _ in layers],
        "encoder_use_feed_forward": [True for _ in layers],
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
