"""ONNX files compute what PyTorch does, for any structure, head, batch and length"""

import os

import onnx_files
import pytest
import strategies
import torch
from golden import build
from helpers import CONFORMER, SHARED, randomize, tiny_config, tiny_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyannote.audio.sample import SAMPLE_FILE

from pyannote_prune import WavLMConfig, WavLMSegmentation, gate, prune
from pyannote_prune.onnx.network import Network, merge_groups
from pyannote_prune.segmentation.head import Head, LSTMOptions
from pyannote_prune.segmentation.specifications import powerset_specifications
from pyannote_prune.segmentation.units import HEAD_UNITS

SECOND = 16000


def segmentation(config: WavLMConfig, **head) -> WavLMSegmentation:
    """Model with weights that could hide no mistake"""
    model = WavLMSegmentation(wavlm=config, **head)
    model.specifications = powerset_specifications(2.0, 3, 2)
    model.setup()
    randomize(model)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return model.eval()


def speech(batch_size: int, num_samples: int) -> torch.Tensor:
    """Windows of the conversation of pyannote.audio"""
    waveform = SAMPLE_FILE["waveform"][0]
    starts = torch.linspace(0, len(waveform) - num_samples, batch_size).long().tolist()
    return torch.stack([waveform[start : start + num_samples] for start in starts])[:, None]


# batch size, number of samples: 1 frame (400 to 719 samples), 2, 49... to 30 s
SIZES = [(1, 400), (8, 400), (3, 719), (2, 720), (8, SECOND), (1, 3 * SECOND + 7), (1, 30 * SECOND)]


def check_all_sizes(model, file, sizes=SIZES, margin=0.0):
    for batch_size, num_samples in sizes:
        onnx_files.check_same(model, file, torch.randn(batch_size, 1, num_samples), margin)
        onnx_files.check_same(model, file, speech(batch_size, num_samples), margin)
    silence = torch.zeros(2, 1, SECOND)
    onnx_files.check_same(model, file, silence, margin)


# an export takes seconds
SLOW = {"marks": pytest.mark.slow}


@pytest.mark.parametrize(
    ("large", "pruned"),
    [
        pytest.param(False, False, id="base, dense", **SLOW),
        pytest.param(False, True, id="base, pruned"),
        pytest.param(True, False, id="large, dense"),
        pytest.param(True, True, id="large, pruned", **SLOW),
    ],
)
def test_base_and_large_dense_and_pruned(tmp_path, large, pruned):
    model = segmentation(tiny_config(large), conformer=CONFORMER)
    if pruned:
        gated = gate(model, ("channel", "head", "neuron", *HEAD_UNITS))
        for module in gated.modules():
            if hasattr(module, "log_alpha"):
                module.log_alpha.data.normal_()
        model = prune(gated).eval()
        assert model.wavlm.config != gated.wavlm.config
        assert model.head.is_pruned
        # soft values of gates that are left
        assert (model.wavlm.extractor.scale != 1).any()
    check_all_sizes(model, onnx_files.save(model, tmp_path))


def check_any_structure(folder, data):
    torch.manual_seed(0)
    config = data.draw(strategies.configs())
    head = data.draw(strategies.heads(config.embed_dim))
    model = segmentation(config, head=head)
    sizes = st.tuples(st.integers(1, 8), st.integers(400, 2 * SECOND))
    file = onnx_files.save(model, folder)
    check_all_sizes(model, file, [(1, 400), data.draw(sizes)], margin=4.0)


FEW = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.slow
@given(st.data())
@settings(max_examples=int(os.environ.get("ONNX_EXAMPLES", 5)), **FEW)
def test_any_structure_and_any_head(tmp_path_factory, data):
    check_any_structure(tmp_path_factory.mktemp("onnx"), data)


@pytest.mark.parametrize("large", [pytest.param(False, **SLOW), True], ids=["base", "large"])
def test_layers_without_attention_or_feed_forward_and_odd_kernel(tmp_path, large):
    plain = tiny_config(large, position_kernel=7).to_dict()
    layers = [{"heads": [], "neurons": 40}, {"heads": [1, 3], "neurons": 0}]
    plain["layers"] = [*layers, {"heads": [], "neurons": 0}]
    # and a Conformer whose layers lost blocks as well
    sizes = [(0, 0, 5, 3), (7, 3, 0, 0), (0, 0, 0, 0)]
    names = ("first_neurons", "heads", "channels", "second_neurons")
    layers = [dict(zip(names, layer, strict=True)) for layer in sizes]
    conformer = CONFORMER | {"num_layers": 3, "layers": layers}
    model = segmentation(WavLMConfig.from_dict(plain), conformer=conformer)
    check_all_sizes(model, onnx_files.save(model, tmp_path))


SMALL = Head("softmax", conformer=CONFORMER | {"convolution_first": True, "use_group_norm": True})
HEADS = [
    pytest.param(SMALL, id="softmax, convolution first, group norm", **SLOW),
    pytest.param(Head("last", False, lstm=LSTMOptions(6, 2)), id="last, LSTM"),
    pytest.param(Head("sum", False, lstm=LSTMOptions(6, 2, False)), id="sum, LSTM", **SLOW),
]


@pytest.mark.parametrize("head", HEADS)
def test_heads_of_other_projects(tmp_path, head):
    model = segmentation(tiny_config(), head=head)
    check_all_sizes(model, onnx_files.save(model, tmp_path))


def test_distances_beyond_the_last_bucket():
    """Where the table of distances ends: 6 s of frames, and buckets up to 64 of them"""
    model = segmentation(tiny_config(), conformer=CONFORMER)
    bias = model.wavlm.position_bias
    with torch.no_grad():
        bias.embedding.weight.mul_(20)
    waveforms = torch.randn(1, 1, 6 * SECOND)
    network = Network(model)
    assert torch.equal(network.encoder.position_bias(300), bias(300))
    with torch.inference_mode():
        assert (network(waveforms) - model(waveforms)).abs().max() < onnx_files.TOLERANCE
        bias.embedding.weight[15] += 1
        assert (network(waveforms) - model(waveforms)).abs().max() > onnx_files.TOLERANCE


@pytest.mark.slow
def test_model_stays_as_it_was(tmp_path):
    """In training mode and double precision too: the file is that of evaluation"""
    model = segmentation(tiny_config(), conformer=CONFORMER)
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    file = onnx_files.save(model.double().train(), tmp_path)
    assert model.training
    assert model.conformer.training
    assert all(parameter.dtype == torch.float64 for parameter in model.parameters())
    found = model.float().state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    onnx_files.check_same(model.eval(), file, speech(2, SECOND))


def test_layers_that_were_wrapped_are_refused(tmp_path):
    class Adapter(torch.nn.Module):
        def __init__(self, linear):
            super().__init__()
            self.linear = linear

        def forward(self, inputs):
            return 2 * self.linear(inputs)

    model = tiny_model()
    layer = model.wavlm.layers[0].feed_forward
    layer.output = Adapter(layer.output)
    with pytest.raises(ValueError, match=r"must have the layers that it was made with, found othe"):
        onnx_files.save(model, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["base-s80-md", "large-s80-md"])
def test_published_structures(tmp_path, preset):
    """With weights of trained magnitude where they are at hand"""
    if (SHARED / "fixtures" / "diarizen").is_dir():
        _, model = build(preset.replace("-", "_"))
    else:
        model = segmentation(WavLMConfig.preset(preset))
    sizes = [(1, 400), (8, SECOND), (1, 30 * SECOND)]
    check_all_sizes(model, onnx_files.save(model, tmp_path), sizes)


@pytest.mark.parametrize("groups", [1, 2, 4, 6, 12])
@pytest.mark.parametrize("min_channels", [1, 3, 16, 100])
def test_merged_groups_convolve_the_same(groups, min_channels):
    weight, inputs = torch.randn(24, 12 // groups, 5).double(), torch.randn(2, 12, 40).double()
    merged, fewer = merge_groups(weight, groups, min_channels)
    assert fewer == 1 or 12 // fewer >= min_channels
    expected = torch.nn.functional.conv1d(inputs, weight, groups=groups)
    torch.testing.assert_close(torch.nn.functional.conv1d(inputs, merged, groups=fewer), expected)
