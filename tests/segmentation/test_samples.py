"""Waveforms of other types and shapes are refused in one line, or converted where that is exact"""

import pytest
import torch
from helpers import tiny_model
from pyannote.audio import Inference, pipelines
from pyannote.database import ProtocolFile

from pyannote_prune.pipeline.diarization import DiarizationPipeline
from pyannote_prune.segmentation.samples import check_waveform, in_single_precision

SAMPLES = 0.1 * torch.randn(1, 16000 * 4, generator=torch.Generator().manual_seed(0))
INT16 = (SAMPLES * 32767).round().short()

WRONG = {
    "int16": (INT16, "found int16: give `{name} / 32768`"),
    "int32": (INT16.int(), "found int32: give `{name} / 2147483648`"),
    "bool": (SAMPLES > 0, r"found bool: give `{name}.float\(\)`"),
    "numpy": (SAMPLES.numpy(), r"ndarray float32: give `torch.as_tensor\({name}\).float\(\)`"),
    "numpy int16": (INT16.numpy(), r"ndarray int16: give `torch.as_tensor\({name}\) / 32768`"),
    "list": ([0.0] * 16000, "found list: "),
}


@pytest.mark.parametrize("kind", WRONG)
def test_types_are_named_with_what_to_do(kind):
    samples, message = WRONG[kind]
    model = tiny_model()
    waveforms = samples if isinstance(samples, list) else samples[None]
    rule = "`{name}` must be a torch.Tensor of floating-point samples in "
    with pytest.raises(ValueError, match=rule.format(name="waveforms")) as error:
        model(waveforms)
    assert error.match(message.format(name="waveforms"))
    with pytest.raises(ValueError, match=message.format(name="waveforms")):
        model.wavlm(samples)
    with pytest.raises(ValueError, match=message.format(name="waveform")):
        check_waveform(samples)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (SAMPLES[0], r"found \(64000,\): give `waveform\[None\]`"),
        (SAMPLES.T, r"found \(64000, 1\): give `waveform.T`"),
        (torch.cat([SAMPLES, SAMPLES]).T, r"found \(64000, 2\): give `waveform.T`"),
        (SAMPLES[None], r"found \(1, 1, 64000\): give one recording at a time"),
    ],
)
def test_shapes_are_named_with_what_to_do(waveform, message):
    with pytest.raises(ValueError, match=r"`waveform` must have shape \(num_channels, num_samples"):
        check_waveform(waveform)
    with pytest.raises(ValueError, match=message):
        check_waveform(waveform)


def test_double_precision_is_converted():
    model = tiny_model()
    with torch.inference_mode():
        expected = model(SAMPLES[None])
        assert torch.equal(model(SAMPLES[None].double()), expected)
        for found, state in zip(model.wavlm(SAMPLES.double()), model.wavlm(SAMPLES), strict=True):
            assert torch.equal(found, state)
    model.train()
    waveforms = SAMPLES[None].double().requires_grad_()
    model(waveforms).sum().backward()
    assert waveforms.grad.abs().max() > 0


@pytest.mark.parametrize("make", [dict, ProtocolFile])
def test_files_are_copied_only_to_be_converted(make):
    file = make({"uri": "it", "waveform": SAMPLES, "sample_rate": 16000})
    assert in_single_precision(file) is file
    file = make({"uri": "it", "waveform": SAMPLES.double(), "sample_rate": 16000})
    found = in_single_precision(file)
    assert type(found) is type(file)
    assert torch.equal(found["waveform"], SAMPLES)
    assert file["waveform"].dtype == torch.float64


def diarize(pipeline, waveform):
    pipeline.instantiate(pipeline.default_parameters())
    return pipeline({"waveform": waveform, "sample_rate": 16000})


@pytest.mark.filterwarnings("ignore:.*The detected number of speakers")
def test_pipeline_converts_or_says_what_to_do(arguments):
    ours = DiarizationPipeline(**arguments)
    expected = diarize(ours, SAMPLES).speaker_diarization
    assert expected
    assert diarize(ours, SAMPLES.double()).speaker_diarization == expected
    for waveform, message in (
        (INT16, "`waveform` must be .* found int16: "),
        (SAMPLES.numpy(), "`waveform` must be .* found ndarray float32: "),
        (SAMPLES[0], r"`waveform` must have shape .* found \(64000,\): "),
        (SAMPLES.T, r"`waveform` must have shape .* found \(64000, 1\): "),
    ):
        with pytest.raises(ValueError, match=message):
            diarize(ours, waveform)
        with pytest.raises(ValueError, match=message):
            ours([{"uri": "it", "waveform": waveform, "sample_rate": 16000}])


def test_reader_of_the_model_says_it_to_other_pipelines(arguments):
    stock = pipelines.SpeakerDiarization(**arguments)
    for waveform, found in ((INT16, "int16"), (SAMPLES.numpy(), "ndarray float32")):
        with pytest.raises(ValueError, match=f"`waveform` must be .* found {found}"):
            diarize(stock, waveform)
        inference = Inference(tiny_model(), duration=2.0, step=1.0)
        with pytest.raises(ValueError, match=f"`waveform` must be .* found {found}"):
            inference({"waveform": waveform, "sample_rate": 16000})
