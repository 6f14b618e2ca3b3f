"""`SSeRiouSS` of pyannote.audio, on WavLM"""

import foreign
import pytest
import torch
import torchaudio
from helpers import relative_error
from pyannote.audio.models.segmentation import SSeRiouSS

from pyannote_prune.released.source import open_source
from pyannote_prune.segmentation.specifications import single_specifications

VARIANTS = {
    "default": {},
    "one module per layer": {"lstm": {"monolithic": False, "num_layers": 3, "dropout": 0.2}},
    "one direction": {"lstm": {"bidirectional": False, "num_layers": 1}},
    "one layer of WavLM": {"wav2vec_layer": 1},
    "no feed-forward layer": {"linear": {"num_layers": 0}, "lstm": {"num_layers": 1}},
    "frozen": {"wav2vec_frozen": True, "lstm": {"num_layers": 1}},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_log_probabilities_are_those_of_pyannote(options, tmp_path, monkeypatch):
    model = foreign.make_sseriouss(monkeypatch, **options)
    found = open_source(foreign.write_checkpoint(model, tmp_path / "model.ckpt")).load_model()
    for num_samples in (400, 8000, 32000):
        waveforms = torch.randn(2, 1, num_samples)
        with torch.inference_mode():
            assert relative_error(found(waveforms), model(waveforms)) < 1e-5
        assert found.num_frames(num_samples) == model.num_frames(num_samples)
    assert found.receptive_field_size(3) == model.receptive_field_size(3)
    assert vars(single_specifications(found)) == vars(model.specifications)


@pytest.mark.slow
def test_names_of_bundles_are_read(tmp_path, monkeypatch):
    """With random weights: the bundle would download its own"""
    for name in ("WAVLM_BASE", "WAVLM_BASE_PLUS"):
        bundle = getattr(torchaudio.pipelines, name)
        monkeypatch.setattr(
            type(bundle),
            "get_model",
            lambda self, **kwargs: torchaudio.models.wavlm_model(**self._params),
        )
        model = foreign.ready(SSeRiouSS(wav2vec=name, lstm={"num_layers": 1}))
        found = open_source(foreign.write_checkpoint(model, tmp_path / "model.ckpt")).load_model()
        waveforms = torch.randn(1, 1, 8000)
        with torch.inference_mode():
            assert relative_error(found(waveforms), model(waveforms)) < 1e-5


@pytest.mark.parametrize("name", ["WAV2VEC2_BASE", "HUBERT_LARGE", "../WAVLM_BASE", ""])
def test_other_encoders_are_refused_by_name(name, tmp_path, monkeypatch):
    path = foreign.write_checkpoint(foreign.make_sseriouss(monkeypatch), tmp_path / "model.ckpt")
    content = torch.load(path, weights_only=False)
    content["hyper_parameters"]["wav2vec"] = name
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"SSeRiouSS that is supported.*wav2vec"):
        open_source(path).load_model()


def test_wav2vec_2_described_by_its_arguments_is_refused(tmp_path, monkeypatch):
    arguments = foreign.wavlm_arguments()
    for name in ("encoder_num_buckets", "encoder_max_distance"):
        del arguments[name]
    model = foreign.ready(SSeRiouSS(wav2vec=arguments, lstm={"num_layers": 1}))
    path = foreign.write_checkpoint(model, tmp_path / "model.ckpt")
    with pytest.raises(ValueError, match=r"must describe a WavLM encoder.*wav2vec 2.0 and HuBERT"):
        open_source(path).load_model()


@pytest.mark.parametrize(
    ("lstm", "message"),
    [
        ({"batch_first": False}, "`hyper_parameters.lstm.batch_first` must be true"),
        ({"proj_size": 3}, "Unknown key `hyper_parameters.lstm.proj_size`"),
        ({"hidden_size": -1}, "`hyper_parameters.lstm.hidden_size` must be"),
        ({"num_layers": 10**8}, "`hyper_parameters.lstm.num_layers` must be"),
    ],
)
def test_lstm_that_cannot_be_is_refused(lstm, message, tmp_path, monkeypatch):
    path = foreign.write_checkpoint(foreign.make_sseriouss(monkeypatch), tmp_path / "model.ckpt")
    content = torch.load(path, weights_only=False)
    content["hyper_parameters"]["lstm"] |= lstm
    torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        open_source(path).load_model()
