"""Encoders of torchaudio, to ours and back"""

from dataclasses import replace

import foreign
import pytest
import torch
import torch.nn.functional as F
import torchaudio
from helpers import randomize, relative_error
from hypothesis import given, settings
from strategies import configs

from pyannote_prune import WavLM, WavLMConfig, gate
from pyannote_prune.wavlm.config import LayerConfig
from pyannote_prune.wavlm.torchaudio_layout import (
    arguments_for_torchaudio,
    config_from_torchaudio,
    weights_for_torchaudio,
    weights_from_torchaudio,
)
from pyannote_prune.wavlm.weights import check_keys, load_exactly

BUNDLES = [
    (torchaudio.pipelines.WAVLM_BASE, "base"),
    (torchaudio.pipelines.WAVLM_BASE_PLUS, "base"),
    (torchaudio.pipelines.WAVLM_LARGE, "large"),
]


def official(arguments: dict):
    model = torchaudio.models.wavlm_model(**arguments)
    randomize(model)
    return model.eval()


def ours_of(model, arguments: dict, normalize_waveform: bool = False) -> WavLM:
    wavlm = WavLM(config_from_torchaudio(arguments, normalize_waveform)).eval()
    load_exactly(wavlm, weights_from_torchaudio(model.state_dict()), "torchaudio")
    return wavlm


@given(config=configs())
@settings(max_examples=15, deadline=None)
def test_states_are_those_of_torchaudio(config):
    """States 1 to L, for both norms and for position kernels of both parities"""
    dense = LayerConfig(tuple(range(config.num_heads)), 7)
    config = WavLMConfig.from_dict(
        config.to_dict() | {"layers": [{"heads": list(dense.heads), "neurons": 7}] * 2}
    )
    arguments = arguments_for_torchaudio(config)
    # in double precision: layer norms of one or two channels make much of rounding
    model = official(arguments).double()
    wavlm = WavLM(config_from_torchaudio(arguments, config.normalize_waveform)).double().eval()
    assert wavlm.config == config
    load_exactly(wavlm, weights_from_torchaudio(model.state_dict()), "torchaudio")
    waveforms = torch.randn(1, 6000, dtype=torch.float64)
    inputs = F.layer_norm(waveforms, waveforms.shape) if config.normalize_waveform else waveforms
    with torch.no_grad():
        expected, _ = model.extract_features(inputs)
        _, *found = wavlm(waveforms)
    for ours, theirs in zip(found, expected, strict=True):
        assert relative_error(ours, theirs) < 1e-9


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kernel", [7, 8])
def test_weights_come_back_unchanged(large, kernel):
    arguments = foreign.wavlm_arguments(large, encoder_pos_conv_kernel=kernel)
    model = official(arguments)
    wavlm = ours_of(model, arguments, large)
    assert arguments_for_torchaudio(wavlm.config) == arguments
    found, expected = weights_for_torchaudio(wavlm), model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


@pytest.mark.parametrize(("bundle", "preset"), BUNDLES)
def test_bundles_have_published_structures(bundle, preset):
    found = config_from_torchaudio(bundle._params, bundle._normalize_waveform)
    # torchaudio (2.11) has the layer drop of Base for Large, too
    assert found == replace(WavLMConfig.preset(preset), layer_drop=0.05)


@pytest.mark.parametrize("prefix", ["", "model."])
def test_former_names_and_the_bundle_of_large_are_read(prefix):
    """Before torch's parametrizations; the layer of speech recognition is left out"""
    arguments = foreign.wavlm_arguments(aux_num_out=5)
    model = official(arguments)
    weights = {}
    for key, tensor in model.state_dict().items():
        for new, old in (("original0", "g"), ("original1", "v")):
            key = key.replace(f"conv.parametrizations.weight.{new}", f"conv.weight_{old}")
        weights[prefix + key] = tensor
    assert any(key.endswith("weight_g") for key in weights)
    assert any("aux." in key for key in weights)
    found = weights_from_torchaudio(weights)
    expected = weights_from_torchaudio(model.state_dict())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_unknown_and_missing_keys_are_listed():
    arguments = foreign.wavlm_arguments()
    weights = weights_from_torchaudio(official(arguments).state_dict() | {"x.y": torch.ones(1)})
    weights.pop("norm.weight")
    expected = WavLM(config_from_torchaudio(arguments)).state_dict()
    with pytest.raises(ValueError, match=r"(?s)1 missing: norm.weight.*1 unexpected: x.y"):
        check_keys(expected, weights, "'file'")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extractor_mode": "batch_norm"}, "`wav2vec.extractor_mode` must be one of 'group_norm'"),
        ({"encoder_num_heads": 0}, "`wav2vec.encoder_num_heads` must be an integer"),
        ({"encoder_num_layers": 10**9}, "`wav2vec.encoder_num_layers` must be"),
        ({"extractor_conv_layer_config": [[16, 10]]}, "channels, kernel and stride"),
        ({"extractor_conv_layer_config": "x"}, "`wav2vec.extractor_conv_layer_config` must be"),
        ({"encoder_embed_dim": 33}, "`embed_dim` must be a multiple of `num_heads`"),
        ({"surprise": 1}, "Unknown key `wav2vec.surprise`"),
        ({"encoder_layer_norm_first": None}, "`norm_first` must be true or false"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        config_from_torchaudio(foreign.wavlm_arguments() | change)


def test_arguments_that_are_missing_are_listed():
    arguments = foreign.wavlm_arguments()
    del arguments["encoder_dropout"]
    with pytest.raises(ValueError, match="Missing arguments of WavLM: encoder_dropout"):
        config_from_torchaudio(arguments)


def test_torchaudio_has_no_pruned_encoders():
    wavlm = ours_of(official(foreign.wavlm_arguments()), foreign.wavlm_arguments())
    with pytest.raises(ValueError, match="must be dense and without gates"):
        weights_for_torchaudio(gate(wavlm))
    pruned = WavLMConfig.preset("base-s80-md")
    with pytest.raises(ValueError, match="must be dense for torchaudio"):
        arguments_for_torchaudio(pruned)
