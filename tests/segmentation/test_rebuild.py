"""Checkpoints that claim anything, in both formats"""

import pytest
import torch
from helpers import tiny_config, tiny_model

from pyannote_prune import save_checkpoint
from pyannote_prune.files.pickles import read_safely, write_atomically
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.safetensors_file import read_tensors, write_tensors

HUGE = 10**9


@pytest.fixture(params=[".ckpt", ".safetensors"])
def alter(request, tmp_path):
    """Write a checkpoint after a change of its hyper-parameters"""
    path = tmp_path / f"model{request.param}"
    model = tiny_model()
    save_checkpoint(model, path)

    def alter(change):
        if path.suffix == ".ckpt":
            content = read_safely(path)
            change(content["hyper_parameters"])
            write_atomically(content, path)
        else:
            contents = read_tensors(path)
            change(contents.hparams)
            write_tensors(contents, path)
        return path

    alter.model = model
    return alter


def hparams(**changes):
    return lambda found: found.update(changes)


def wavlm(**changes):
    return hparams(wavlm=tiny_config().to_dict() | changes)


def test_unchanged_checkpoint_is_loaded(alter):
    found, expected = load_checkpoint(alter(lambda found: None)), alter.model
    assert dict(found.hparams) == dict(expected.hparams)
    assert vars(found.specifications) == vars(expected.specifications)
    weights = expected.state_dict()
    assert found.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in found.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (hparams(wavlm="someone/wavlm"), "`hyper_parameters.wavlm` must be a dictionary"),
        (hparams(wavlm="/etc"), "`hyper_parameters.wavlm` must be a dictionary, found '/etc'"),
        (hparams(wavlm=None), "`hyper_parameters.wavlm` must be"),
        (hparams(task="x"), "Unknown key `hyper_parameters.task`"),
        (hparams(units=["os.mkdir"]), r"`hyper_parameters.units\[0\]` must be one of"),
        (hparams(learning_rate="fast"), "`hyper_parameters.learning_rate` must be"),
        (hparams(sample_rate=8000), "`sample_rate` must be 16000"),
        (hparams(conformer={"input_dims": 16}), "Unknown key 'input_dims' in `conformer`"),
        (hparams(conformer={"num_layers": HUGE}), "hyper_parameters.conformer.num_layers"),
        (hparams(conformer={"num_layers": -1}), "hyper_parameters.conformer.num_layers"),
        (hparams(conformer={"num_layers": "4"}), "conformer.num_layers` must be a number"),
        (hparams(conformer={"input_dim": [16]}), "conformer.input_dim` must be a number"),
        (hparams(conformer={"dropout": 3.0}), "dropout"),
        (wavlm(surprise=1), "Unknown key 'surprise' in the WavLM configuration"),
        (wavlm(embed_dim=-48), "`embed_dim` must be an integer"),
        (wavlm(layers=3), ""),
        (wavlm(convolutions=[None]), r"`convolutions\[0\]` must be a dictionary"),
        (lambda found: found.pop("wavlm"), "Missing key `hyper_parameters.wavlm`"),
    ],
)
def test_hyper_parameters_that_cannot_be_used_are_refused(alter, change, message):
    path = alter(change)
    with pytest.raises(ValueError, match=f"{path.name}' does not describe.*{message}"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [
        wavlm(embed_dim=48 * HUGE),
        wavlm(layers=[{"heads": [0], "neurons": HUGE**2}]),
        hparams(conformer={"input_dim": 4 * HUGE}),
        hparams(conformer={"ffn_dim": HUGE**3}),
    ],
)
def test_claims_of_a_huge_model_take_no_memory(alter, change):
    path = alter(change)
    with pytest.raises(ValueError, match=f"{path.name}' (does not describe|do not fit)"):
        load_checkpoint(path)


@pytest.mark.parametrize("hostile", [None, 3, [("wavlm", {})], "wavlm"])
def test_hyper_parameters_of_another_type_are_refused(tmp_path, hostile):
    path = tmp_path / "model.ckpt"
    save_checkpoint(tiny_model(), path)
    write_atomically(read_safely(path) | {"hyper_parameters": hostile}, path)
    with pytest.raises(ValueError, match="`hyper_parameters` must be a dictionary"):
        load_checkpoint(path)


@pytest.mark.parametrize("hostile", [None, 3, (1, 2), {"duration": 2.0}])
def test_specifications_of_another_type_are_refused(tmp_path, hostile):
    path = tmp_path / "model.ckpt"
    save_checkpoint(tiny_model(), path)
    content = read_safely(path)
    content["pyannote.audio"]["specifications"] = hostile
    write_atomically(content, path)
    with pytest.raises(ValueError, match="model.ckpt' does not describe.*`specifications` must"):
        load_checkpoint(path)


def test_specifications_with_impossible_values_are_refused(tmp_path):
    path = tmp_path / "model.ckpt"
    save_checkpoint(tiny_model(), path)
    content = read_safely(path)
    content["pyannote.audio"]["specifications"].classes = None
    write_atomically(content, path)
    with pytest.raises(ValueError, match=r"model.ckpt'.*`specifications.classes` must be a list"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "weights",
    [
        None,
        [torch.ones(1)],
        {"norm.weight": 1.0},
        {1: torch.ones(1)},
        {"norm.weight": torch.ones(16).to_sparse()},
        {"norm.weight": torch.ones(16, device="meta")},
    ],
)
def test_anything_but_plain_tensors_is_refused(tmp_path, weights):
    path = tmp_path / "model.ckpt"
    save_checkpoint(tiny_model(), path)
    write_atomically(read_safely(path) | {"state_dict": weights}, path)
    with pytest.raises(ValueError, match=r"`state_dict` of '.*model.ckpt' must be made of names"):
        load_checkpoint(path)
