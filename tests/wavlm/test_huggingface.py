"""`transformers` is the yardstick of dense encoders, compared block by block, then whole"""

import json

import pytest
import torch
import transformers
from helpers import Payload, randomize, relative_error
from safetensors.torch import load_file, save_file

from pyannote_prune import WavLMSegmentation
from pyannote_prune.wavlm.huggingface import from_transformers, load_huggingface

# largest difference relative to the peak, in float32
TOLERANCE = 1e-5

STYLES = {
    "base": {"feat_extract_norm": "group", "do_stable_layer_norm": False},
    "large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
}
SIZES = {
    "tiny-base": {
        **STYLES["base"],
        "hidden_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 72,
        "conv_dim": [20] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "num_buckets": 40,
        "max_bucket_distance": 100,
    },
    "base": STYLES["base"],
    "large": {
        **STYLES["large"],
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    },
}
SIZES["tiny-large"] = SIZES["tiny-base"] | STYLES["large"] | {"conv_bias": True}


def transformers_model(size: str) -> transformers.WavLMModel:
    torch.manual_seed(0)
    model = transformers.WavLMModel(transformers.WavLMConfig(**SIZES[size])).eval()
    randomize(model)
    return model


def blocks(ours, theirs) -> dict[str, tuple[torch.nn.Module, torch.nn.Module]]:
    """Modules that should give the same output, in the order of the data"""
    pairs = {
        f"convolution {i}": (a, b)
        for i, (a, b) in enumerate(
            zip(ours.extractor.convolutions, theirs.feature_extractor.conv_layers, strict=True)
        )
    }
    pairs["projection"] = (ours.projection, theirs.feature_projection)
    pairs["position"] = (ours.position, theirs.encoder.pos_conv_embed)
    for i, (a, b) in enumerate(zip(ours.layers, theirs.encoder.layers, strict=True)):
        pairs[f"attention {i}"] = (a.attention, b.attention)
        pairs[f"feed-forward {i}"] = (a.feed_forward, b.feed_forward)
        pairs[f"layer {i}"] = (a, b)
    return pairs


def record(module: torch.nn.Module, outputs: dict, name: str):
    def hook(module, inputs, output):
        outputs[name] = output[0] if isinstance(output, tuple) else output

    module.register_forward_hook(hook)


@pytest.mark.parametrize(
    "size",
    ["tiny-base", "tiny-large", pytest.param("base", marks=pytest.mark.slow)]
    + [pytest.param("large", marks=pytest.mark.slow)],
)
def test_every_block_matches_transformers(size):
    theirs = transformers_model(size)
    ours = from_transformers(theirs)
    assert ours.config.normalize_waveform == size.endswith("large")

    found, expected = {}, {}
    for name, (a, b) in blocks(ours, theirs).items():
        record(a, found, name)
        record(b, expected, name)

    waveforms = torch.randn(2, 16000)
    with torch.inference_mode():
        hidden_states = ours(waveforms)
        if ours.config.normalize_waveform:  # `transformers` leaves this to its feature extractor
            waveforms = torch.nn.functional.layer_norm(waveforms, (16000,))
        reference = theirs(waveforms, output_hidden_states=True)

    for name, value in expected.items():
        assert relative_error(found[name], value) < TOLERANCE, name

    # whether the last of `hidden_states` is normalized depends on the version of `transformers`
    states, last = reference.hidden_states[:-1], reference.last_hidden_state
    for i, (a, b) in enumerate(zip(hidden_states[:-1], states, strict=True)):
        assert relative_error(a, b) < TOLERANCE, f"hidden state {i}"
    if ours.config.norm_first:  # `transformers` normalizes the last one, we do not
        assert relative_error(hidden_states[-1], last) > 0.01
        assert relative_error(ours.norm(hidden_states[-1]), last) < TOLERANCE
    else:
        assert relative_error(hidden_states[-1], last) < TOLERANCE


@pytest.mark.parametrize("size", ["tiny-base", "tiny-large"])
def test_position_bias_matches_transformers_far_beyond_the_last_bucket(size):
    theirs = transformers_model(size)
    ours = from_transformers(theirs)
    expected = theirs.encoder.layers[0].attention.compute_bias(301, 301)
    torch.testing.assert_close(ours.position_bias(301), expected, rtol=0, atol=0)


@pytest.mark.parametrize("size", ["tiny-base", "tiny-large"])
def test_local_folder_gives_the_same_encoder(size, tmp_path):
    theirs = transformers_model(size)
    theirs.save_pretrained(tmp_path)
    waveforms = torch.randn(1, 4000)
    expected = from_transformers(theirs)(waveforms)
    model = WavLMSegmentation(wavlm=tmp_path)
    assert isinstance(model.hparams.wavlm, dict)
    for a, b in zip(model.wavlm.eval()(waveforms), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_waveform_normalization_can_be_chosen():
    theirs = transformers_model("tiny-base")
    assert not from_transformers(theirs).config.normalize_waveform
    assert from_transformers(theirs, normalize_waveform=True).config.normalize_waveform


def test_keys_that_do_not_fit_are_listed(tmp_path):
    transformers_model("tiny-base").save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    weights["surprise"] = torch.ones(2)
    weights["encoder.layer_norm.bias"] = torch.ones(3)
    del weights["encoder.layers.1.attention.q_proj.bias"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ValueError) as error:
        load_huggingface(tmp_path)
    assert "1 missing: encoder.layers.1.attention.q_proj.bias" in str(error.value)
    assert "1 unexpected: surprise" in str(error.value)
    assert "encoder.layer_norm.bias (expected (48,), found (3,))" in str(error.value)


@pytest.mark.parametrize("size", [0, 1000])
def test_truncated_weights_are_refused(tmp_path, size):
    transformers_model("tiny-base").save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="could not be read: the file is damaged"):
        load_huggingface(tmp_path)


def test_code_in_weights_is_refused_and_not_executed(tmp_path):
    transformers.WavLMConfig(**SIZES["tiny-base"]).save_pretrained(tmp_path)
    torch.save({"weight": Payload(tmp_path / "executed")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="could execute code"):
        load_huggingface(tmp_path)
    assert not (tmp_path / "executed").exists()


# what `transformers` would download and run, import, or make of other settings
BESIDE_THE_POINT = [
    {"attn_implementation": "someone/kernel"},
    {"_attn_implementation": "someone/kernel"},
    {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    {"auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"}},
    {"dtype": "float16"},
    {"to_dict": "not a method any more"},
]


@pytest.mark.parametrize("change", BESIDE_THE_POINT, ids=lambda change: next(iter(change)))
def test_structure_is_all_that_is_read_in_config(tmp_path, change):
    expected = from_transformers(transformers_model("tiny-base")).state_dict()
    transformers_model("tiny-base").save_pretrained(tmp_path)
    plain = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(plain | change))
    (tmp_path / "code.py").write_text("raise AssertionError('executed')\n")
    found = load_huggingface(tmp_path).state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in found.items())


@pytest.mark.parametrize(
    "change",
    [
        *({"conv_dim": "abc"}, {"conv_dim": []}, {"hidden_size": "48"}, {"hidden_size": -48}),
        *({"num_attention_heads": 0}, {"num_hidden_layers": 2.5}, {"hidden_dropout": None}),
    ],
)
def test_impossible_structure_is_refused(tmp_path, change):
    transformers_model("tiny-base").save_pretrained(tmp_path)
    plain = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(plain | change))
    with pytest.raises(ValueError, match="`config.json` of '.*' does not describe a WavLM encoder"):
        load_huggingface(tmp_path)


def shard(folder):
    """Weights in several files, as large models have them"""
    transformers_model("tiny-base").save_pretrained(folder, max_shard_size="100KB")
    (index,) = folder.glob("*.index.json")
    return index, json.loads(index.read_text())


def test_weights_in_several_files_give_the_same_encoder(tmp_path):
    _, content = shard(tmp_path)
    assert len(set(content["weight_map"].values())) > 1
    expected = from_transformers(transformers_model("tiny-base")).state_dict()
    found = load_huggingface(tmp_path).state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in found.items())


@pytest.mark.parametrize("where", ["../{}", "{folder}/{}", "link"])
def test_weights_stay_in_their_folder(tmp_path, where):
    folder = tmp_path / "wavlm"
    index, content = shard(folder)
    name = next(iter(content["weight_map"].values()))
    (folder / name).rename(tmp_path / name)
    (folder / "link").symlink_to(tmp_path / name)
    where = where.format(name, folder=tmp_path)
    renamed = {k: where if v == name else v for k, v in content["weight_map"].items()}
    index.write_text(json.dumps(content | {"weight_map": renamed}))
    with pytest.raises(ValueError, match=f"`weight_map` must name files inside .*{where}"):
        load_huggingface(folder)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_list_of_files_that_cannot_be_read_is_named(tmp_path, content):
    index, _ = shard(tmp_path)
    index.write_text(content)
    with pytest.raises(ValueError, match="index.json' does not say where weights are"):
        load_huggingface(tmp_path)


def test_another_architecture_is_refused(tmp_path):
    transformers.HubertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="must be a WavLM encoder.*of type 'hubert'"):
        load_huggingface(tmp_path)


def test_unsupported_option_is_named():
    config = transformers.WavLMConfig(**SIZES["tiny-base"], hidden_act="relu")
    with pytest.raises(ValueError, match="`hidden_act` must be 'gelu'.*found 'relu'"):
        from_transformers(transformers.WavLMModel(config))


def test_unknown_hub_id_and_unreachable_hub_say_what_to_do():
    with pytest.raises(OSError, match="must be a hub id or a local folder.*HF_HUB_OFFLINE"):
        load_huggingface("nobody/no-such-wavlm")


def test_preset_given_as_weights_names_the_preset():
    with pytest.raises(OSError, match=r"use `WavLMConfig.preset\('large'\)`"):
        load_huggingface("large")
