"""The model as pyannote.audio sees it"""

import copy
import pickle

import pytest
import torch
import torchaudio
from helpers import CONFORMER, relative_error, tiny_config, tiny_model
from pyannote.audio import Inference
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.core import SlidingWindowFeature

from pyannote_prune import WavLMSegmentation, gate
from pyannote_prune.segmentation.specifications import powerset_specifications

MULTILABEL = Specifications(
    problem=Problem.MULTI_LABEL_CLASSIFICATION,
    resolution=Resolution.FRAME,
    duration=2.0,
    classes=["speech", "music", "noise"],
)


def with_specifications(specifications) -> WavLMSegmentation:
    model = WavLMSegmentation(wavlm=tiny_config(), conformer=CONFORMER)
    model.specifications = specifications
    model.setup()
    return model.eval()


@pytest.mark.parametrize("batch_size", [0, 1, 3])
def test_powerset_gives_log_probabilities(batch_size):
    scores = tiny_model()(torch.randn(batch_size, 1, 8000))
    assert scores.shape == (batch_size, 24, 7)
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(batch_size, 24))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("specifications", ["powerset", "multilabel"])
def test_scores_are_in_single_precision_under_autocast(dtype, specifications):
    """Losses are: log-probabilities of -10 would be off by 0.03 in bfloat16"""
    model = tiny_model() if specifications == "powerset" else with_specifications(MULTILABEL)
    with torch.no_grad(), torch.autocast("cpu", dtype):
        scores = model(torch.randn(1, 1, 8000))
    assert scores.dtype == torch.float32
    if specifications == "powerset":
        # of half precision, they would add up to 1 but for 1e-3
        assert (scores.exp().sum(-1) - 1).abs().max() < 1e-6
    assert model(torch.randn(1, 1, 8000)).dtype == torch.float32
    assert model.double()(torch.randn(1, 1, 8000).double()).dtype == torch.float64


@pytest.mark.parametrize("gated", [False, True], ids=["plain", "gated"])
def test_models_can_be_pickled(gated, tmp_path):
    """As data workers started by spawn, and `torch.save(model)`, do"""
    model, waveforms = tiny_model(), torch.randn(1, 1, 8000)
    model = gate(model) if gated else model
    with torch.inference_mode():
        expected = model(waveforms)
        torch.save(model, tmp_path / "model.pt")
        saved = torch.load(tmp_path / "model.pt", weights_only=False)
        for found in (saved, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert torch.equal(found(waveforms), expected)


def test_multilabel_gives_probabilities():
    model = with_specifications(MULTILABEL)
    assert model.dimension == 3
    scores = model(torch.randn(1, 1, 8000))
    assert scores.shape == (1, 24, 3)
    assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.parametrize(
    ("speakers", "simultaneous", "classes"), [(3, 2, 7), (4, 2, 11), (4, 4, 16)]
)
def test_dimension_is_the_number_of_powerset_classes(speakers, simultaneous, classes):
    model = with_specifications(powerset_specifications(2.0, speakers, simultaneous))
    assert model.dimension == classes


def test_frames_are_where_convolutions_put_them():
    model = tiny_model()
    assert model.num_frames(16000) == 49
    assert [model.receptive_field_size(n) for n in (1, 2, 3)] == [400, 720, 1040]
    assert model.receptive_field_center() == 199.5
    assert model.receptive_field_center(2) == 199.5 + 640
    window = model.receptive_field
    assert (window.start, window.duration, window.step) == (0.0, 0.025, 0.02)


def test_frame_depends_on_the_samples_of_its_receptive_field():
    """The extractor says so, independently of any arithmetic"""
    # not that of Base, whose group normalization spreads a little of everything
    extractor = tiny_model(tiny_config(large=True)).wavlm.extractor
    waveforms = torch.randn(1, 4000, requires_grad=True)
    extractor(waveforms)[0][0, 3].sum().backward()
    touched = waveforms.grad[0].nonzero()
    assert (touched.min().item(), touched.max().item()) == (3 * 320, 3 * 320 + 399)


def test_conformer_is_that_of_torchaudio():
    """Without padding mask, same as with a mask that hides nothing"""
    model = tiny_model()
    inputs = torch.randn(2, 30, CONFORMER["input_dim"])
    expected, _ = model.conformer(inputs, torch.tensor([30, 30]))
    assert isinstance(model.conformer, torchaudio.models.Conformer)

    # the same layers, as the model calls them
    recorded = {}
    model.norm.register_forward_hook(lambda *_: inputs)
    model.classifier.register_forward_pre_hook(lambda _, args: recorded.update(found=args[0]))
    model(torch.randn(2, 1, 9680))
    assert relative_error(recorded["found"], expected) < 1e-5


def test_sum_over_layers_uses_raw_weights():
    model = tiny_model()
    waveforms = torch.randn(1, 1, 4000)
    before = model(waveforms)
    model.layer_weights.data = torch.tensor([0.0, 2.0, 0.0])
    recorded = {}
    model.projection.register_forward_pre_hook(lambda _, args: recorded.update(found=args[0]))
    assert not torch.equal(model(waveforms), before)
    torch.testing.assert_close(recorded["found"], 2 * model.wavlm(waveforms[:, 0])[1])


def test_default_head_is_the_published_one():
    model = WavLMSegmentation(wavlm=tiny_config(embed_dim=768, num_heads=12))
    model.specifications = powerset_specifications(8.0, 4, 2)
    model.setup()
    head = {n: p for n, p in model.named_parameters() if not n.startswith("wavlm.")}
    layer_weights = head.pop("layer_weights").numel()
    # outside of the 12-layer encoder of the reference, there are 6,291,992 parameters
    assert sum(p.numel() for p in head.values()) + 13 == 6_291_992
    assert layer_weights == 3


def test_optimizer_has_two_learning_rates():
    model = tiny_model()
    wavlm, rest = model.configure_optimizers().param_groups
    assert (wavlm["lr"], rest["lr"]) == (2e-5, 1e-3)
    trained = sum(len(group["params"]) for group in (wavlm, rest))
    assert trained == sum(p.requires_grad for p in model.parameters())
    assert any(model.layer_weights is p for p in rest["params"])

    model.freeze_by_name("wavlm")
    (rest,) = model.configure_optimizers().param_groups
    assert rest["lr"] == 1e-3


def test_hyper_parameters_rebuild_the_model():
    model = tiny_model()
    assert isinstance(model.hparams.wavlm, dict)
    again = WavLMSegmentation(**model.hparams)
    assert again.wavlm.config == model.wavlm.config
    assert again.hparams == model.hparams


@pytest.mark.parametrize("window", ["sliding", "whole"])
@pytest.mark.filterwarnings("ignore:Using .whole. `window`")
def test_inference(window):
    model = tiny_model()
    output = Inference(model, window=window, step=1.0, batch_size=4)(SAMPLE_FILE)
    if window == "sliding":
        assert isinstance(output, SlidingWindowFeature)
        assert output.data.shape == (29, 99, 3)
    else:
        assert output.shape == (1499, 3)


def test_inference_of_aggregated_multilabel_scores():
    output = Inference(with_specifications(MULTILABEL), step=1.0)(SAMPLE_FILE)
    assert output.data.shape[1] == 3
    assert output.sliding_window.step == 0.02


@pytest.mark.parametrize("num_samples", [1, 399, 12000])
def test_files_shorter_than_the_window_are_padded(num_samples):
    file = {"waveform": 0.1 * torch.randn(1, num_samples), "sample_rate": 16000}
    assert Inference(tiny_model(), step=1.0)(file).data.shape == (1, 99, 3)


def test_files_with_several_channels_or_another_rate_are_converted():
    inference = Inference(tiny_model(), step=1.0)
    stereo = {"waveform": 0.1 * torch.randn(2, 48000), "sample_rate": 16000}
    narrow = {"waveform": 0.1 * torch.randn(1, 24000), "sample_rate": 8000}
    assert inference(stereo).data.shape == inference(narrow).data.shape == (2, 99, 3)


@pytest.mark.parametrize("num_samples", [0, 1, 399])
def test_too_short_waveforms_are_refused(num_samples):
    with pytest.raises(ValueError, match=f"at least 400 samples.*found {num_samples}"):
        tiny_model()(torch.zeros(1, 1, num_samples))


@pytest.mark.parametrize("shape", [(2, 2, 8000), (2, 8000), (8000,), (1, 0, 8000)])
def test_anything_but_mono_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(batch_size, 1, num_samples\).*one channel"):
        tiny_model()(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_samples_that_are_not_finite_are_refused(value):
    waveforms = torch.zeros(2, 1, 8000)
    waveforms[1, 0, 17] = value
    with pytest.raises(ValueError, match="must be finite"):
        tiny_model()(waveforms)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sample_rate": 8000}, ValueError, "`sample_rate` must be 16000, found 8000"),
        ({"num_channels": 2}, ValueError, "`num_channels` must be 1, found 2"),
        ({"conformer": {"num_layer": 2}}, ValueError, "Unknown key 'num_layer'.*'num_layers'"),
        ({"wavlm": {"embed_dim": 3}}, ValueError, "Missing keys.*'convolutions'"),
        ({"wavlm": 3}, TypeError, "`wavlm` must be a hub id.*found int"),
        ({"wavlm": "nobody/nothing"}, OSError, "`wavlm` must be a hub id or a local folder"),
    ],
)
def test_impossible_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        WavLMSegmentation(**({"wavlm": tiny_config()} | options))
