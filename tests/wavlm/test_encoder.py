import copy
from itertools import pairwise

import pytest
import torch
import transformers
from helpers import randomize, relative_error, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import configs

from pyannote_prune import WavLM
from pyannote_prune.wavlm.config import LayerConfig, WavLMConfig
from pyannote_prune.wavlm.huggingface import config_from_transformers, from_transformers
from pyannote_prune.wavlm.presets import convolutions

LENGTHS = {400: 1, 719: 1, 720: 2, 1200: 3, 16000: 49, 32000: 99, 128000: 399, 256000: 799}


@pytest.mark.parametrize(("num_samples", "num_frames"), LENGTHS.items())
def test_number_of_frames(num_samples, num_frames):
    wavlm = WavLM(tiny_config()).eval()
    assert wavlm.num_frames(num_samples) == num_frames
    if num_frames < 100:
        assert wavlm(torch.randn(1, num_samples))[0].shape[1] == num_frames


@settings(max_examples=40, deadline=None)
@given(configs(), st.integers(1, 3), st.integers(400, 3000))
def test_any_structure_runs_and_trains(config, batch_size, num_samples):
    wavlm = WavLM(config)
    hidden_states = wavlm(torch.randn(batch_size, num_samples))
    assert len(hidden_states) == config.num_layers + 1
    for hidden in hidden_states:
        assert hidden.shape == (batch_size, wavlm.num_frames(num_samples), config.embed_dim)
        assert hidden.isfinite().all()

    # distributed training needs a gradient for every parameter that asks for one
    sum(hidden.square().sum() for hidden in hidden_states).backward()
    for name, parameter in wavlm.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


# where the removed units of each layer go: nothing, some, a block, the position bias's first owner
REMOVALS = {
    "none": [((0, 1, 2, 3), 30), ((0, 1, 2, 3), 30), ((0, 1, 2, 3), 30)],
    "some": [((1, 3), 30), ((0, 1, 2, 3), 7), ((2,), 11)],
    "blocks": [((0, 2), 30), ((), 30), ((3,), 0)],
    "first attention": [((), 5), ((1, 2), 30), ((0,), 30)],
    "everything": [((), 0), ((), 0), ((), 0)],
}


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("removal", REMOVALS)
def test_pruned_encoder_is_the_dense_one_with_silenced_units(large, removal):
    """Two routes: `transformers` with zeroed outputs, ours without those units"""
    theirs = transformers.WavLMModel(
        transformers.WavLMConfig(
            hidden_size=48,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=30,
            conv_dim=[12] * 7,
            num_conv_pos_embeddings=15,
            num_conv_pos_embedding_groups=4,
            num_buckets=40,
            max_bucket_distance=100,
            feat_extract_norm="layer" if large else "group",
            do_stable_layer_norm=large,
        )
    ).eval()
    randomize(theirs)
    waveforms = torch.nn.functional.layer_norm(torch.randn(2, 8000), (8000,))
    with torch.no_grad():
        before = theirs(waveforms).last_hidden_state
        ours = remove(theirs, REMOVALS[removal])
        silence(theirs, REMOVALS[removal])
        after = theirs(waveforms, output_hidden_states=True)
        found = ours(waveforms)

    if removal != "none":
        assert relative_error(after.last_hidden_state, before) > 0.01
    for i, (a, b) in enumerate(zip(found[:-1], after.hidden_states[:-1], strict=True)):
        assert relative_error(a, b) < 1e-5, f"hidden state {i}"
    last = ours.norm(found[-1]) if large else found[-1]
    assert relative_error(last, after.last_hidden_state) < 1e-5


def silence(theirs: transformers.WavLMModel, layers: list):
    """Zero what removed units of a dense encoder add to their block"""
    for layer, (heads, neurons) in zip(theirs.encoder.layers, layers, strict=True):
        removed = torch.ones(4, dtype=bool)
        removed[list(heads)] = False
        layer.attention.out_proj.weight.unflatten(1, (4, -1))[:, removed] = 0
        layer.feed_forward.output_dense.weight[:, neurons:] = 0
        if not heads:
            layer.attention.out_proj.bias.zero_()
        if not neurons:
            layer.feed_forward.output_dense.bias.zero_()


def remove(theirs: transformers.WavLMModel, layers: list) -> WavLM:
    """Our encoder, without these units"""
    dense = from_transformers(theirs).state_dict()
    config = config_from_transformers(theirs.config)
    shapes = tuple(LayerConfig(heads, neurons) for heads, neurons in layers)
    pruned = WavLM(WavLMConfig.from_dict(config.to_dict() | {"layers": as_dicts(shapes)})).eval()
    for i, shape in enumerate(shapes):
        rows = torch.cat([torch.arange(12) + 12 * h for h in shape.heads] or [torch.arange(0)])
        for name in ("query", "key", "value"):
            for leaf in ("weight", "bias"):
                key = f"layers.{i}.attention.{name}.{leaf}"
                dense[key] = dense[key][rows]
        key = f"layers.{i}.attention.output.weight"
        dense[key] = dense[key][:, rows]
        for key, axis in (("input.weight", 0), ("input.bias", 0), ("output.weight", 1)):
            key = f"layers.{i}.feed_forward.{key}"
            dense[key] = dense[key].narrow(axis, 0, shape.neurons)
    expected = pruned.state_dict()
    pruned.load_state_dict({key: value for key, value in dense.items() if key in expected})
    return pruned


def as_dicts(shapes):
    return [{"heads": list(shape.heads), "neurons": shape.neurons} for shape in shapes]


def test_scale_multiplies_channels_of_the_last_convolution():
    wavlm = WavLM(tiny_config()).eval()
    waveforms, scale = torch.randn(1, 2000), torch.rand(12)
    before, _ = wavlm.extractor(waveforms)
    wavlm.extractor.scale.data = scale
    torch.testing.assert_close(wavlm.extractor(waveforms)[0], before * scale)


def test_waveform_normalization_ignores_offset_and_level():
    wavlm = WavLM(tiny_config(large=True)).eval()
    waveforms = torch.randn(2, 4000)
    first, second = wavlm(waveforms)[-1], wavlm(20 * waveforms + 3)[-1]
    assert relative_error(second, first) < 1e-4


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_batch_does_not_change_results(large):
    wavlm = WavLM(tiny_config(large)).eval()
    waveforms = torch.randn(5, 4000)
    together = wavlm(waveforms)[-1]
    alone = torch.cat([wavlm(waveform[None])[-1] for waveform in waveforms])
    assert relative_error(together, alone) < 1e-5


def test_layer_drop_skips_layers_in_training_only():
    wavlm = WavLM(tiny_config(layer_drop=0.5, dropout=0.0, attention_dropout=0.0))
    waveforms = torch.randn(1, 2000)
    skipped = 0
    for _ in range(50):
        states = wavlm(waveforms)
        skipped += sum(torch.equal(a, b) for a, b in pairwise(states))
    assert 25 < skipped < 75  # out of 100 layers
    states = wavlm.eval()(waveforms)
    assert not any(torch.equal(a, b) for a, b in pairwise(states))


def test_copy_computes_the_same():
    wavlm = WavLM(tiny_config()).eval()
    waveforms = torch.randn(1, 2000)
    assert torch.equal(copy.deepcopy(wavlm)(waveforms)[-1], wavlm(waveforms)[-1])


def test_bfloat16_autocast_stays_close():
    wavlm = WavLM(tiny_config()).eval()
    waveforms = torch.randn(2, 4000)
    with torch.no_grad():
        expected = wavlm(waveforms)[-1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = wavlm(waveforms)[-1].float()
    assert 0 < relative_error(found, expected) < 0.05


@pytest.mark.parametrize("num_samples", [0, 1, 399])
def test_too_short_waveforms_are_refused(num_samples):
    with pytest.raises(ValueError, match=f"at least 400 samples.*found {num_samples}"):
        WavLM(tiny_config())(torch.zeros(1, num_samples))


def test_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(batch_size, num_samples\), found \(1, 1, 800\)"):
        WavLM(tiny_config())(torch.zeros(1, 1, 800))


def test_pruned_channels_change_the_first_dimension_only():
    config = tiny_config()
    pruned = WavLMConfig.from_dict(
        config.to_dict() | {"convolutions": convolutions([3, 1, 4, 1, 5, 9, 2])}
    )
    assert WavLM(pruned)(torch.randn(1, 800))[-1].shape == (1, 2, 48)
