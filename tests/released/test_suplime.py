"""Models of SUPlime: checkpoints, repositories, pipelines"""

import shutil
from dataclasses import replace

import foreign
import numpy as np
import pytest
import torch
import yaml
from helpers import Payload, relative_error
from pyannote.audio import Pipeline
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import XVectorMFCC
from typer.testing import CliRunner

from pyannote_prune import DiarizationSettings, WavLMSegmentation, export_pipeline
from pyannote_prune.cli import app
from pyannote_prune.released.source import open_source
from pyannote_prune.segmentation.provenance import Provenance
from pyannote_prune.segmentation.specifications import single_specifications

pytest.importorskip("suplime", reason="needs `pip install suplime`, of the test extra")

VARIANTS = {
    "Base+": {},
    "Large": {"large": True},
    "odd kernel": {"wavlm": foreign.wavlm_arguments(encoder_pos_conv_kernel=7)},
    "one layer": {"wav2vec_layer": 2},
    "no feed-forward layer": {"linear": {"num_layers": 0}},
}


@pytest.fixture(params=VARIANTS)
def model(request):
    torch.manual_seed(0)
    return foreign.make_suplime(**VARIANTS[request.param])


@pytest.fixture(scope="module")
def repository(parts, tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("suplime") / "repository"
    return foreign.write_suplime(foreign.make_suplime(), parts / "embedding", folder)


def change(repository, tmp_path, edit):
    """Copy of a repository, with another `config.yaml`"""
    folder = shutil.copytree(repository, tmp_path / "changed")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    edit(config)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_log_probabilities_are_those_of_suplime(model, tmp_path):
    """Windows one by one: SUPlime-L normalizes waveforms over the whole batch"""
    found = open_source(foreign.write_checkpoint(model, tmp_path / "model.ckpt")).load_model()
    assert isinstance(found, WavLMSegmentation)
    for num_samples in (400, 8000, 32000):
        waveforms = torch.randn(1, 1, num_samples)
        with torch.inference_mode():
            assert relative_error(found(waveforms), model(waveforms)) < 1e-5
        assert found.num_frames(num_samples) == model.num_frames(num_samples)
    for num_frames in (1, 2, 10):
        assert found.receptive_field_size(num_frames) == model.receptive_field_size(num_frames)
    assert vars(single_specifications(found)) == vars(model.specifications)
    assert not found.training


def test_layers_that_are_not_used_are_left_out(tmp_path):
    model = foreign.make_suplime(wav2vec_layer=2)
    found = open_source(foreign.write_checkpoint(model, tmp_path / "model.ckpt")).load_model()
    assert (found.wavlm.config.num_layers, model.hparams.wav2vec["encoder_num_layers"]) == (2, 3)
    assert found.layer_weights is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "millions"), [("WAVLM_BASE_PLUS", 114), ("WAVLM_LARGE", 349)])
def test_full_size_is_converted(name, millions, tmp_path):
    """Sizes that SUPlime publishes"""
    import torchaudio

    bundle = getattr(torchaudio.pipelines, name)
    model = foreign.make_suplime(bundle._normalize_waveform, dict(bundle._params), conformer=None)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6) == millions
    found = open_source(foreign.write_checkpoint(model, tmp_path / "model.ckpt")).load_model()
    waveforms = torch.randn(1, 1, 32000)
    with torch.inference_mode():
        assert relative_error(found(waveforms), model(waveforms)) < 1e-5


def test_repository_has_model_settings_and_embedding(repository):
    source = open_source(repository)
    assert source.load_model().specifications.duration == 2.0
    assert source.load_settings() == DiarizationSettings(
        clustering="AgglomerativeClustering",
        parameters={"method": "centroid", "min_cluster_size": 12, "threshold": 0.72},
        segmentation_step=0.1,
        embedding_exclude_overlap=True,
    )
    assert source.find_plda() is None
    assert source.parts == repository
    assert source.packages == {"suplime": "0.2.0"}


@pytest.mark.filterwarnings("ignore:.*The detected number of speakers")
def test_pipelines_with_the_same_parts_give_the_same_turns(repository, tmp_path):
    """Theirs, and ours, exported by the command"""
    arguments = ["export", str(repository), str(tmp_path / "ours")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "pip install suplime" in result.output
    config = yaml.safe_load((tmp_path / "ours" / "config.yaml").read_text())
    assert config["dependencies"]["suplime"] == "0.2.0"
    assert not (tmp_path / "ours" / "plda").exists()
    generator = torch.Generator().manual_seed(0)
    file = {"waveform": 0.1 * torch.randn(1, 16000 * 12, generator=generator), "sample_rate": 16000}
    ours, theirs = (Pipeline.from_pretrained(folder) for folder in (tmp_path / "ours", repository))
    # larger clusters than such a short file has
    for pipeline in (ours, theirs):
        parameters = pipeline.parameters(instantiated=True)
        parameters["clustering"]["min_cluster_size"] = 2
        pipeline.instantiate(parameters)
    found, expected = (
        pipeline(dict(file, uri="file")).speaker_diarization for pipeline in (ours, theirs)
    )
    assert len(expected) > 3
    assert found.to_rttm() == expected.to_rttm()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*The detected number of speakers")
def test_class_of_their_embedding_gives_the_same_embeddings(repository, tmp_path):
    """Its frames are shared by the speakers of a window"""
    from suplime.models.embedding import WeSpeakerSimAMResNet34

    torch.manual_seed(0)
    embedding = WeSpeakerSimAMResNet34().eval()
    embedding.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=2.0
    )
    folder = shutil.copytree(repository, tmp_path / "theirs")
    foreign.write_checkpoint(embedding, folder / "embedding" / "pytorch_model.bin")
    source = open_source(folder)
    export_pipeline(source.load_model(), tmp_path / "ours", folder, source.load_settings())
    file = {"waveform": 0.1 * torch.randn(1, 16000 * 3), "sample_rate": 16000, "uri": "file"}
    found, expected = {}, {}
    for path, kept in ((tmp_path / "ours", found), (folder, expected)):

        def keep(name, artifact=None, file=None, total=None, completed=None, kept=kept):
            kept[name] = artifact

        Pipeline.from_pretrained(path)(dict(file), hook=keep)
    assert found["embeddings"].shape[-1] == 256
    np.testing.assert_allclose(found["embeddings"], expected["embeddings"], atol=1e-4)


def test_repository_of_the_hub_is_referred_to(repository, tmp_path, monkeypatch):
    """Its embedding stays there"""
    from pyannote_prune.released.suplime import repository as module

    def find(name, file):
        return repository / file if (repository / file).is_file() else None

    monkeypatch.setattr(module, "find_on_hub", find)
    source = module.open_suplime("rewayai/suplime")
    folder = export_pipeline(
        source.load_model(),
        tmp_path / "ours",
        source.parts,
        source.load_settings(),
        packages=source.packages,
    )
    config = yaml.safe_load((folder / "config.yaml").read_text())
    expected = {"checkpoint": "rewayai/suplime", "subfolder": "embedding"}
    assert config["pipeline"]["params"]["embedding"] == expected
    assert "plda" not in config["pipeline"]["params"]
    assert not (folder / "embedding").exists()


def test_optimizer_of_a_training_is_left_out(tmp_path):
    model = foreign.make_suplime()
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(1, 1, 8000)).sum().backward()
    optimizer.step()
    path = foreign.write_checkpoint(
        model,
        tmp_path / "05-0.1234.ckpt",
        optimizer_states=[optimizer.state_dict()],
        callbacks={"ModelCheckpoint": {"best_model_score": torch.tensor(0.1)}},
    )
    waveforms = torch.randn(1, 1, 8000)
    with torch.inference_mode():
        assert relative_error(open_source(path).load_model()(waveforms), model(waveforms)) < 1e-5


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c["pipeline"]["params"].update(segmentation="$model/../x"), "must be in"),
        (lambda c: c["pipeline"]["params"].update(segmentation="/etc/x"), "a folder of the repo"),
        (
            lambda c: c["pipeline"]["params"].update(segmentation={"checkpoint": "a/b"}),
            "a folder of the repository",
        ),
        (lambda c: c["pipeline"]["params"].update(clustering="VBxClustering"), "one of 'Agglom"),
        (lambda c: c["pipeline"]["params"].update(surprise=1), "pipeline.params.surprise"),
    ],
)
def test_configuration_that_leads_elsewhere_is_refused(repository, tmp_path, edit, message):
    with pytest.raises(ValueError, match=message):
        open_source(change(repository, tmp_path, edit)).load_model()


def test_settings_that_are_not_supported_are_refused(repository, tmp_path):
    folder = change(repository, tmp_path, lambda c: c["params"]["clustering"].update(threshold=-1))
    source = open_source(folder)
    with pytest.raises(ValueError, match=r"config.yaml.*`params.clustering.threshold` must be"):
        source.load_settings()
    assert isinstance(source.load_model(), WavLMSegmentation)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c["state_dict"].pop("linear.0.weight"), r"1 missing: linear\.0\.weight"),
        (lambda c: c["state_dict"].update(more=torch.ones(1)), "1 unexpected: more"),
        (
            lambda c: c["state_dict"].update({"classifier.weight": torch.ones(2, 2)}),
            "1 misshapen: classifier.weight",
        ),
        (lambda c: c["hyper_parameters"].update(sample_rate=8000), "`sample_rate` must be 16000"),
        (lambda c: c["hyper_parameters"].update(num_channels=2), "`num_channels` must be 1"),
        (lambda c: c["hyper_parameters"].update(wav2vec_layer=9), "wav2vec_layer` must be from 1"),
        (lambda c: c["hyper_parameters"].update(wav2vec_layer=0), "wav2vec_layer` must be from 1"),
        (lambda c: c.update(hyper_parameters=3), "`hyper_parameters` must be a dictionary"),
        (lambda c: c.update(state_dict=3), "`state_dict`.* must be made of names and tensors"),
        (
            lambda c: c["pyannote.audio"].update(
                specifications=(c["pyannote.audio"]["specifications"],) * 2
            ),
            "for one task",
        ),
        (
            lambda c: c["pyannote.audio"]["architecture"].update({"class": "PyanNet"}),
            "WavLMSegmentation, SuplimeSegmentation, SSeRiouSS, found 'PyanNet': models of other",
        ),
        (lambda c: c["pyannote.audio"]["architecture"].update({"class": ["x"]}), "found ..x..:"),
        (lambda c: c["pyannote.audio"].pop("architecture"), "must be a pyannote.audio checkpoint"),
    ],
)
def test_checkpoints_that_do_not_fit_are_refused(tmp_path, edit, message):
    path = foreign.write_checkpoint(foreign.make_suplime(), tmp_path / "model.ckpt")
    content = torch.load(path, weights_only=False)
    edit(content)
    torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        open_source(path).load_model()


def test_code_in_a_checkpoint_is_not_executed(repository, tmp_path):
    folder = shutil.copytree(repository, tmp_path / "repository")
    torch.save({"x": Payload(tmp_path / "hacked")}, folder / "segmentation" / "pytorch_model.bin")
    with pytest.raises(ValueError, match="could execute code"):
        open_source(folder).load_model()
    assert not (tmp_path / "hacked").exists()


def test_other_pipelines_are_of_no_such_format(repository, tmp_path):
    folder = change(repository, tmp_path, lambda c: c["pipeline"].update(name="some.Pipeline"))
    with pytest.raises(OSError, match="give '.*pytorch_model.bin', its segmentation model"):
        open_source(folder)


def test_embedding_is_one_that_pyannote_knows(parts):
    """Fixture of this file: SUPlime's own class is large"""
    content = torch.load(parts / "embedding" / "pytorch_model.bin", weights_only=False)
    assert content["pyannote.audio"]["architecture"]["class"] == XVectorMFCC.__name__


def test_licence_is_that_of_suplime(repository, tmp_path):
    known = Provenance("repository", "SUPlime", "CC BY-NC 4.0")
    assert open_source(repository).load_model().provenance == known
    path = foreign.write_checkpoint(foreign.make_suplime(), tmp_path / "model.ckpt")
    assert open_source(path).load_model().provenance == replace(known, source="model.ckpt")
