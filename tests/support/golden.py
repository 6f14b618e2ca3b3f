"""Numbers of the reference implementation (see ../shared/fixtures/diarizen/README.md)"""

import importlib.util
import json
from functools import cache
from types import ModuleType

import numpy as np
import torch
import transformers
from helpers import SHARED, randomize
from torch import Tensor

from pyannote_prune import WavLM, WavLMConfig, WavLMSegmentation
from pyannote_prune.released.diarizen.load import CONFORMER
from pyannote_prune.released.diarizen.structure import convert_config
from pyannote_prune.released.diarizen.weights import convert_state_dict
from pyannote_prune.segmentation.specifications import powerset_specifications
from pyannote_prune.wavlm.foreign_names import rename_keys
from pyannote_prune.wavlm.huggingface import from_transformers
from pyannote_prune.wavlm.weights import load_exactly

FOLDER = SHARED / "fixtures" / "diarizen"


def available(*names: str) -> list[str]:
    """Cases that exist: none without ../shared"""
    return [name for name in names if (FOLDER / name).is_dir()]


PRUNED = available(
    *(
        f"masked_vs_pruned/{style}_{experiment}"
        for style in ("base", "large")
        for experiment in (
            *("all_units", "conv", "conv_head_interm", "head", "interm", "layers"),
            *("lost_attention_by_heads", "lost_attention_by_layer"),
            *("lost_feed_forward_by_interm", "lost_feed_forward_by_layer"),
            *("lost_first_attention_by_heads", "lost_first_attention_by_layer"),
        )
    )
)


@cache
def recipe() -> ModuleType:
    """`make_weights.py`"""
    spec = importlib.util.spec_from_file_location("make_weights", FOLDER / "make_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_json(path: str) -> dict:
    return json.loads((FOLDER / path).read_text())


def state_dict(path: str) -> dict[str, Tensor]:
    """State dict of the reference, from its list of keys"""
    return {k: torch.from_numpy(v) for k, v in recipe().weights(read_json(path)).items()}


def build(case: str) -> tuple[WavLM, WavLMSegmentation | None]:
    """Encoder, and model if the case has a head, with the weights of the recipe"""
    config = read_json(f"{case}/config.json")
    weights = state_dict(f"{case}/keys.json")
    structure = convert_config(config["wavlm"])
    if "model" not in config:
        encoder = WavLM(structure).eval()
        load_exactly(encoder, rename_keys(weights), case)
        return encoder, None
    arguments = config["model"]["args"]
    model = WavLMSegmentation(
        wavlm=structure,
        conformer={ours: arguments[theirs] for ours, theirs in CONFORMER.items()},
    )
    model.specifications = powerset_specifications(
        arguments["chunk_size"],
        arguments["max_speakers_per_chunk"],
        arguments["max_speakers_per_frame"],
    )
    model.setup()
    load_exactly(model, convert_state_dict(weights), case)
    return model.eval().wavlm, model


def pruned_config(case: str) -> dict:
    """Structure of a case of `PRUNED`, as the reference writes it"""
    config = read_json(f"{case}/pruned_config.json")
    return config.get("wavlm", config)


def build_pruned(case: str) -> tuple[WavLM, np.lib.npyio.NpzFile]:
    """Encoder that the reference has pruned, and its numbers"""
    expected = np.load(FOLDER / case / "expected.npz")
    masks = {
        key.removeprefix("mask."): torch.from_numpy(expected[key])
        for key in expected.files
        if key.startswith("mask.")
    }
    weights = prune(state_dict(f"{case}/keys.json"), masks)
    keys = read_json(f"{case}/pruned_keys.json")
    wavlm = WavLM(convert_config(pruned_config(case))).eval()
    load_exactly(wavlm, rename_keys({key: weights[key] for key in keys}), case)
    return wavlm, expected


def load_encoder(config: dict, weights: dict[str, Tensor]) -> WavLM:
    """Encoder with these weights, gates left out"""
    encoder = WavLM(convert_config(config)).eval()
    weights = {key: value for key, value in weights.items() if "hard_concrete" not in key}
    load_exactly(encoder, rename_keys(weights), "the reference")
    return encoder


def probe(hidden_states: list[Tensor]) -> Tensor:
    """Hidden states as the reference summarizes them: (num_states, batch_size, num_frames)"""
    hidden = torch.stack(hidden_states)
    dim = hidden.shape[-1]
    return hidden @ torch.from_numpy(recipe().normal("probe", (dim,)) / np.sqrt(np.float32(dim)))


def generate(large: bool, silent_heads: bool = False) -> tuple[WavLM, Tensor, Tensor]:
    """Encoder, waveforms, and the hidden states that `transformers` gives for them

    With `silent_heads`, the first layer of the encoder has no second head, and the output of this
    head is zero in `transformers`.
    """
    style = {"feat_extract_norm": "layer", "do_stable_layer_norm": True} if large else {}
    theirs = transformers.WavLMModel(
        transformers.WavLMConfig(
            hidden_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=40,
            conv_dim=[12] * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
            **style,
        )
    ).eval()
    randomize(theirs)
    if silent_heads:
        theirs.encoder.layers[0].attention.out_proj.weight.data[:, 12:24] = 0.0
    wavlm = from_transformers(theirs)
    if silent_heads:
        name = "encoder.layers.0.attention.hard_concrete_for_heads"
        weights = prune(theirs.state_dict(), {name: torch.tensor([1.0, 0.0, 1.0, 1.0])})
        plain = wavlm.config.to_dict()
        plain["layers"][0]["heads"] = [0, 2, 3]
        scale = wavlm.extractor.scale.data
        wavlm = WavLM(WavLMConfig.from_dict(plain)).eval()
        del weights["masked_spec_embed"]
        load_exactly(
            wavlm, rename_keys(weights) | {"extractor.scale": scale}, "the generated encoder"
        )

    waveforms = torch.nn.functional.layer_norm(torch.randn(2, 8000), (8000,))
    with torch.no_grad():
        expected = theirs(waveforms, output_hidden_states=True)
        hidden_states = list(expected.hidden_states)
        if large:  # normalized or not, depending on the version of `transformers`
            hidden_states[-1] = wavlm(waveforms)[-1]
            assert torch.allclose(
                wavlm.norm(hidden_states[-1]), expected.last_hidden_state, atol=1e-4
            )
    return wavlm, waveforms, torch.stack(hidden_states)


def prune(weights: dict[str, Tensor], masks: dict[str, Tensor]) -> dict[str, Tensor]:
    """Remove units of closed gates, and fold the values of open gates into the next weights

    Independent of the package, for tests alone, with the names of the reference.
    """
    pruned = {key: value for key, value in weights.items() if "hard_concrete" not in key}
    for name, mask in masks.items():
        kept = mask > 0
        module, _, gate = name.partition(".hard_concrete_for_")
        if not gate:
            _prune_convolution(pruned, name, mask, kept)
        elif gate == "heads":
            rows = kept.repeat_interleave(pruned[f"{module}.k_proj.bias"].numel() // len(mask))
            values = mask.repeat_interleave(len(rows) // len(mask))[rows]
            for projection in ("q_proj", "k_proj", "v_proj"):
                _select(pruned, f"{module}.{projection}", rows)
            key = f"{module}.out_proj.weight"
            pruned[key] = pruned[key][:, rows] * values
        elif gate == "intermediate":
            _select(pruned, f"{module}.intermediate_dense", kept)
            key = f"{module}.output_dense.weight"
            pruned[key] = pruned[key][:, kept] * mask[kept]
        else:  # a whole block
            output = "out_proj" if module.endswith("attention") else "output_dense"
            for leaf in ("weight", "bias"):
                pruned[f"{module}.{output}.{leaf}"] = pruned[f"{module}.{output}.{leaf}"] * mask
    return pruned


def _prune_convolution(pruned: dict[str, Tensor], name: str, mask: Tensor, kept: Tensor):
    _select(pruned, f"{name}.conv", kept)
    _select(pruned, f"{name}.layer_norm", kept)
    stem, _, index = name.rpartition(".")
    following = f"{stem}.{int(index) + 1}.conv.weight"
    if following in pruned:
        pruned[following] = pruned[following][:, kept] * mask[kept, None]
        return
    key = "feature_extractor.dummy_weight"
    pruned[key] = (pruned[key] * mask)[kept]
    _select(pruned, "encoder.feature_projection.layer_norm", kept)
    key = "encoder.feature_projection.projection.weight"
    pruned[key] = pruned[key][:, kept]


def _select(pruned: dict[str, Tensor], module: str, kept: Tensor):
    for key in (f"{module}.weight", f"{module}.bias"):
        if key in pruned:
            pruned[key] = pruned[key][kept]
