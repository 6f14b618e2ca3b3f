"""Files of DiariZen, real and hostile"""

import shutil
import tempfile

import golden
import numpy as np
import pytest
import released
import torch
from helpers import SHARED, Payload, randomize
from hypothesis import assume, given, settings
from strategies import configs

from pyannote_prune import (
    DiarizationSettings,
    WavLMConfig,
    WavLMSegmentation,
    gate,
    load_diarizen,
    prune,
)
from pyannote_prune.released.diarizen import find_plda, load_settings, write_stand_in

HUB_LAYOUT = SHARED / "fixtures" / "diarizen" / "hub_layout"


@pytest.fixture
def repository(tmp_path):
    """Released repository: that of the fixtures, or a generated one"""
    torch.manual_seed(0)
    folder = tmp_path / "repository"
    if HUB_LAYOUT.is_dir():
        shutil.copytree(HUB_LAYOUT / "tiny", folder, copy_function=shutil.copyfile)
        folder.chmod(0o755)
    else:
        write_stand_in(released.random_model(), folder)
    return folder


def edit(repository, old: str, new: str):
    path = repository / "config.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_released_repository_gives_model_and_specifications(repository):
    model = load_diarizen(repository)
    assert isinstance(model, WavLMSegmentation)
    assert not model.training
    specifications = model.specifications
    assert specifications.duration == 16.0
    assert specifications.powerset_max_classes == 2
    assert specifications.permutation_invariant
    assert model(torch.randn(2, 1, 8000)).shape == (2, 24, specifications.num_powerset_classes)


def test_released_repository_gives_the_numbers_of_the_reference(repository):
    """Those of DiariZen, or of the model that the repository was generated from"""
    model = load_diarizen(repository)
    for waveforms, expected in reference_outputs():
        with torch.inference_mode():
            found = model(waveforms)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def reference_outputs():
    if not HUB_LAYOUT.is_dir():
        waveforms = torch.randn(2, 1, 8000)
        torch.manual_seed(0)  # as the generated repository
        yield waveforms, released.random_model()(waveforms).detach()
        return
    expected = np.load(golden.FOLDER / "tiny_base" / "expected.npz")
    for name in ("sample_8s", "synthetic_2s", "short_1200"):
        waveforms = torch.from_numpy(golden.recipe().waveform(name))[:, None]
        yield waveforms, torch.from_numpy(expected[f"{name}.log_probs"])


@pytest.mark.parametrize("case", ["base_s80_md", "large_s80_md"])
@pytest.mark.slow
def test_released_structures_are_found_by_name(case, tmp_path):
    if not HUB_LAYOUT.is_dir():
        write_stand_in(released.pruned_model(case), tmp_path / "repository")
        edit(tmp_path / "repository", '"wavlm_tiny_base.bin"', f'"wavlm_{case}"')
        model = load_diarizen(tmp_path / "repository")
        assert model.wavlm.config == WavLMConfig.preset(case.replace("_", "-"))
        return
    shutil.copyfile(HUB_LAYOUT / case / "config.toml", tmp_path / "config.toml")
    torch.save(golden.state_dict(f"{case}/keys.json"), tmp_path / "pytorch_model.bin")
    model = load_diarizen(tmp_path)
    expected = np.load(golden.FOLDER / case / "expected.npz")
    waveforms = torch.from_numpy(golden.recipe().waveform("sample_8s"))[:, None]
    with torch.inference_mode():
        found = model(waveforms).numpy()
    np.testing.assert_allclose(found, expected["sample_8s.log_probs"], rtol=0, atol=2e-5)


def test_wavlm_file_gives_an_untrained_head_on_the_same_encoder(repository):
    model = load_diarizen(repository / "wavlm_tiny_base.bin")
    assert not hasattr(model, "classifier")
    waveforms = torch.randn(1, 4000)
    expected = load_diarizen(repository).wavlm(waveforms)
    for found, value in zip(model.wavlm(waveforms), expected, strict=True):
        assert torch.equal(found, value)


def test_settings_of_vbx(repository):
    assert load_settings(repository) == DiarizationSettings(
        clustering="VBxClustering",
        parameters={"threshold": 0.6, "Fa": 0.07, "Fb": 0.8},
        segmentation_step=0.1,
        median_filter=11,
        min_speakers=1,
        max_speakers=20,
        min_clean_ratio=0.1,
        constrained_assignment=True,
        first_channel=True,
    )


def test_plda_is_that_of_the_repository(repository, parts):
    if not (repository / "plda").exists():
        assert find_plda(repository) is None
        shutil.copytree(parts / "plda", repository / "plda")
    assert find_plda(repository) == repository / "plda"
    edit(repository, "VBxClustering", "AgglomerativeClustering")
    assert find_plda(repository) is None


def test_settings_of_agglomerative_clustering(repository):
    text = (repository / "config.toml").read_text()
    (repository / "config.toml").write_text(
        text[: text.index("[clustering.args]")]
        + '[clustering.args]\nmethod = "AgglomerativeClustering"\nmin_speakers = 1\n'
        + "max_speakers = 20\nahc_threshold = 0.7\nmin_cluster_size = 30\n"
    )
    settings = load_settings(repository)
    assert settings.clustering == "AgglomerativeClustering"
    assert settings.parameters == {"method": "centroid", "min_cluster_size": 30, "threshold": 0.7}
    assert (settings.min_clean_ratio, settings.constrained_assignment) == (0.1, True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("model_wavlm_conformer.Model", "model_fbank.Model", "`model.path` must be .*other arch"),
        ("use_posi = false", "use_posi = true", "`use_posi` must be false"),
        (
            "output_activate_function = false",
            'output_activate_function = "ReLU"',
            "`output_activate_function` must be false",
        ),
        (
            "attention_in = 32",
            "atention_in = 32",
            "Unknown key `model.args.atention_in`.*'attention_in'",
        ),
        ("wavlm_feat_dim = 48", "wavlm_feat_dim = 768", "`wavlm_feat_dim` must be 48"),
        ("wavlm_layer_num = 5", "wavlm_layer_num = 13", "`wavlm_layer_num` must be 5"),
        ('"wavlm_tiny_base.bin"', '"wavlm_base_s80"', "did you mean 'wavlm_base_s80_md'"),
        ('"wavlm_tiny_base.bin"', '"../other.bin"', "WavLM file inside"),
        ("attention_in = 32", "attention_in = 64", "misshapen: projection.weight"),
        ("num_layer = 2", "num_layer = 3", "missing: conformer.conformer_layers.2"),
        (
            "selected_channel = 0",
            "selected_channel = 0\nsample_rate = 8000",
            "`model.args.sample_rate` must be 16000",
        ),
        ("[model]", "[model", "is not valid TOML"),
        ("[model.args]", "[[model.args]]", "`model.args` must be a section"),
    ],
)
def test_config_that_cannot_be_used_is_refused(repository, old, new, message):
    shutil.copyfile(repository / "wavlm_tiny_base.bin", repository.parent / "other.bin")
    edit(repository, old, new)
    with pytest.raises(ValueError, match=message):
        load_diarizen(repository)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lda_dim = 128", "lda_dim = 64", "`clustering.args.lda_dim` must be 128"),
        ("max_iters = 20", "", "Missing key `clustering.args.max_iters`"),
        ("VBxClustering", "SpectralClustering", "`clustering.args.method` must be one of"),
        ("batch_size = 32", "", "Missing key `inference.args.batch_size`"),
    ],
)
def test_settings_that_cannot_be_reproduced_are_refused(repository, old, new, message):
    edit(repository, old, new)
    with pytest.raises(ValueError, match=message):
        load_settings(repository)


def test_another_channel_is_a_warning(repository):
    edit(repository, "selected_channel = 0", "selected_channel = 1")
    with pytest.warns(UserWarning, match="'channel': 1"):
        load_diarizen(repository)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "wavlm_tiny_base.bin"])
def test_code_in_a_file_is_refused_and_not_executed(repository, name):
    proof = repository / "executed"
    torch.save({"weight": Payload(proof)}, repository / name)
    with pytest.raises(ValueError, match="could execute code"):
        load_diarizen(repository)
    assert not proof.exists()
    torch.load(repository / name, weights_only=False)  # the payload was real
    assert proof.exists()


@pytest.mark.parametrize("where", ["{0}/other.bin", "sub/../../other.bin", "link.bin", "sub"])
def test_wavlm_of_a_configuration_stays_in_its_folder(repository, where):
    outside = repository.parent / "other.bin"
    shutil.copyfile(repository / "wavlm_tiny_base.bin", outside)
    (repository / "sub").mkdir()
    (repository / "link.bin").symlink_to(outside)
    edit(repository, "wavlm_tiny_base.bin", where.format(repository.parent))
    with pytest.raises(ValueError, match="`wavlm_src` must be one of .* WavLM file inside"):
        load_diarizen(repository)


@pytest.mark.parametrize("value", ["3", "[1, 2]", "{a = 1}", "true"])
def test_wavlm_of_a_configuration_is_a_name(repository, value):
    edit(repository, '"wavlm_tiny_base.bin"', value)
    with pytest.raises(ValueError, match="wavlm_src` must be the name of a structure"):
        load_diarizen(repository)


@pytest.mark.parametrize("size", [0, 10, 3000])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "wavlm_tiny_base.bin"])
def test_truncated_file_is_refused(repository, name, size):
    path = repository / name
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=f"{name}.*(truncated|damaged)"):
        load_diarizen(repository)


@pytest.mark.parametrize("content", [[1, 2], {"weight": 1}, {1: torch.ones(1)}, torch.ones(2)])
def test_anything_but_a_state_dict_is_refused(repository, content):
    torch.save(content, repository / "pytorch_model.bin")
    with pytest.raises(ValueError, match="must hold a state dict"):
        load_diarizen(repository)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extractor_prune_conv_channels": True}, "only encoders without gates"),
        ({"use_layerwise_prune": "1-2"}, "only encoders without gates"),
        ({"encoder_use_feed_forward": [True]}, r"must have one value per layer"),
        ({"extractor_mode": "batch_norm"}, "`extractor_mode` must be"),
        ({"encoder_embed_dim": None}, "`embed_dim` must be an integer"),
        ({"encoder_remaining_heads": 3}, "does not describe a WavLM encoder"),
    ],
)
def test_wavlm_file_that_cannot_be_used_is_refused(repository, change, message):
    path = repository / "wavlm_tiny_base.bin"
    content = torch.load(path, weights_only=True)
    torch.save(content | {"config": content["config"] | change}, path)
    with pytest.raises(ValueError, match=message):
        load_diarizen(path)


def test_wavlm_file_with_a_missing_key_is_refused(repository):
    path = repository / "wavlm_tiny_base.bin"
    content = torch.load(path, weights_only=True)
    del content["config"]["normalize_waveform"]
    torch.save(content, path)
    with pytest.raises(ValueError, match="missing keys: normalize_waveform"):
        load_diarizen(path)


def test_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"there is no 'config.toml'.*WavLMSegmentation"):
        load_diarizen(tmp_path)


def test_missing_weights_are_named(repository):
    (repository / "pytorch_model.bin").unlink()
    with pytest.raises(FileNotFoundError, match="pytorch_model.bin"):
        load_diarizen(repository)


@pytest.mark.parametrize("source", ["nobody/no-such-model", "no such model", "no/such/model"])
def test_unknown_source_says_what_to_do(source):
    with pytest.raises(OSError, match="must be a hub id or a local folder.*HF_HUB_OFFLINE"):
        load_diarizen(source)


def test_downloaded_repository_is_used_offline(repository, tmp_path):
    """The layout of the cache of the hub, as a download would have left it"""
    commit = "0" * 40
    cached = tmp_path / "cache" / "models--someone--released"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    shutil.copytree(repository, cached / "snapshots" / commit)
    (cached / "blobs").mkdir()
    for i, path in enumerate((cached / "snapshots" / commit).iterdir()):
        path.rename(cached / "blobs" / str(i))
        path.symlink_to(f"../../blobs/{i}")
    model = load_diarizen("someone/released", cache_dir=tmp_path / "cache")
    assert model.specifications.duration == 16.0


@settings(max_examples=40, deadline=None)
@given(configs())
def test_whatever_was_pruned_a_stand_in_computes_the_same(config):
    assume(config.layers[0].heads)  # where this format keeps the position bias of all layers
    model = released.with_head(config)
    randomize(model)
    waveforms = torch.randn(1, 1, 4000)
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_diarizen(write_stand_in(model, f"{folder}/released"))
    assert loaded.specifications.duration == model.specifications.duration
    torch.testing.assert_close(loaded(waveforms), model(waveforms), rtol=0, atol=1e-6)


def test_stand_in_of_a_pruned_head_is_refused(tmp_path):
    """Which this format cannot describe"""
    gated = gate(released.random_model(), ["conformer_head"])
    gated.conformer.conformer_layers[0].self_attn.gate.log_alpha.data[0] = -50.0
    with pytest.raises(ValueError, match="`model` must have .* a dense Conformer .*pruned Conf"):
        write_stand_in(prune(gated), tmp_path / "released")
    assert not (tmp_path / "released").exists()
