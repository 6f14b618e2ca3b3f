"""Files are data: whatever reads one refuses code, says which file has it, and runs nothing

`load_diarizen`, `load_checkpoint`, Hugging Face folders and recipes have tests of their own.
"""

import shutil

import numpy as np
import pytest
import torch
import transformers
import yaml
from conversations import generate_conversations
from helpers import CONFORMER, Payload, tiny_config, tiny_model
from typer.testing import CliRunner

from pyannote_prune import export_pipeline, save_checkpoint
from pyannote_prune.cli import app
from pyannote_prune.data.simulation.turn_statistics import TurnStatistics
from pyannote_prune.files.pickles import last_checkpoint, read_safely
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.folder import claim_recipe
from pyannote_prune.recipe.run import RecipeRun
from pyannote_prune.released.source import read_source
from pyannote_prune.training.average import average_checkpoints


@pytest.fixture
def proof(tmp_path):
    """What exists once code was executed"""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


@pytest.fixture
def hostile(tmp_path, proof):
    """Good checkpoint, except for what else it holds"""
    path = tmp_path / "hostile.ckpt"
    save_checkpoint(tiny_model(), path)
    torch.save(read_safely(path) | {"callbacks": Payload(proof)}, path)
    torch.load(path, weights_only=False)
    proof.rmdir()  # it would work
    return path


def recipe(folder, **changes) -> dict:
    stages = {name: {"max_epochs": 0} for name in ("prune", "distil", "train")}
    return {
        "protocol": "Generated.SpeakerDiarization.Mini",
        "database": str(generate_conversations(folder / "conversations")),
        "duration": 2.0,
        "max_speakers_per_chunk": 3,
        "num_workers": 0,
        "stages": {"fine_tune": {"max_epochs": 1, "batch_size": 8}, **stages},
        "trainer": {"accelerator": "cpu", "devices": 1},
        "export": {"oracle_clustering": True},
        **changes,
    }


def fail(*arguments) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("command", ["summary", "convert", "export", "train"])
def test_commands_refuse_code_in_a_checkpoint(command, hostile, parts, tmp_path):
    if command == "train":
        path = tmp_path / "recipe.yml"
        path.write_text(yaml.safe_dump(recipe(tmp_path, checkpoint=str(hostile))))
        arguments = [path]
    else:
        options = {"convert": [tmp_path / "m.ckpt"], "export": [tmp_path / "p", "--parts", parts]}
        arguments = [hostile, *options.get(command, ())]
    output = fail(command, *arguments)
    assert "hostile.ckpt" in output
    assert "could execute code" in output


@pytest.mark.parametrize("suffix", [".safetensors", ".SafeTensors"])
def test_pickle_with_another_name_is_refused(hostile, suffix):
    path = hostile.rename(hostile.with_suffix(suffix))
    with pytest.raises(ValueError, match=r"hostile\.\w+' could not be read"):
        read_source(path)


def test_interrupted_training_does_not_go_on_from_code(hostile, tmp_path):
    plain = recipe(tmp_path, wavlm=tiny_config().to_dict(), conformer=CONFORMER)
    run = RecipeRun(Recipe.from_dict(plain), tmp_path / "run")
    claim_recipe(run.output, run.recipe)
    last = run.folder("fine_tune") / "checkpoints" / "last.ckpt"
    last.parent.mkdir(parents=True)
    shutil.copyfile(hostile, last)
    with pytest.raises(ValueError, match="last.ckpt' was not loaded: .* could execute code"):
        run()


def test_checkpoint_to_resume_from_is_that_of_the_path_or_none(tmp_path):
    path = tmp_path / "last.ckpt"
    assert last_checkpoint(path) is None
    save_checkpoint(tiny_model(), path)
    assert last_checkpoint(path) == path
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="last.ckpt' could not be read: it is truncated"):
        last_checkpoint(path)


def test_average_refuses_code(hostile, tmp_path):
    save_checkpoint(tiny_model(), tmp_path / "good.ckpt")
    with pytest.raises(ValueError, match="hostile.ckpt' was not loaded: .* could execute code"):
        average_checkpoints([tmp_path / "good.ckpt", hostile])


@pytest.mark.parametrize("weights", [None, {"a": 1}, [torch.ones(1)]])
def test_average_is_that_of_weights(tmp_path, weights):
    torch.save({"state_dict": weights}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="last.ckpt' must be a Lightning checkpoint"):
        average_checkpoints([tmp_path / "last.ckpt"])


@pytest.mark.parametrize("name", ["embedding/pytorch_model.bin", "plda/plda.npz"])
def test_parts_of_a_pipeline_are_not_passed_on_with_code(checkpoint, parts, tmp_path, proof, name):
    shutil.copytree(parts, tmp_path / "parts")
    content = read_safely(parts / "embedding" / "pytorch_model.bin")
    torch.save(content | {"callbacks": Payload(proof)}, tmp_path / "parts" / name)
    with pytest.raises(ValueError, match=f"`parts` must have files that hold.*{name}"):
        export_pipeline(checkpoint, tmp_path / "pipeline", tmp_path / "parts")
    assert not (tmp_path / "pipeline").exists()


def test_object_arrays_are_not_passed_on(checkpoint, parts, tmp_path, proof):
    shutil.copytree(parts, tmp_path / "parts")
    arrays = dict(np.load(parts / "plda" / "plda.npz"))
    arrays["mu"] = np.array([Payload(proof)], dtype=object)
    np.savez(tmp_path / "parts" / "plda" / "plda.npz", **arrays)
    with pytest.raises(ValueError, match=r"`parts` must have .*plda.npz': Object arrays cannot"):
        export_pipeline(checkpoint, tmp_path / "pipeline", tmp_path / "parts")


def test_version_of_torch_that_older_checkpoints_have_is_no_code(tmp_path):
    assert type(torch.__version__) is not str
    save_checkpoint(tiny_model(), tmp_path / "old.ckpt")
    content = read_safely(tmp_path / "old.ckpt")
    content["pyannote.audio"]["versions"]["torch"] = torch.__version__
    torch.save(content, tmp_path / "old.ckpt")
    assert read_source(tmp_path / "old.ckpt").specifications.duration == 2.0


PYTHON = "!!python/object/apply:os.mkdir [{}]"


def test_yaml_of_a_folder_in_use_is_not_executed(tmp_path, proof):
    plain = recipe(tmp_path, wavlm=tiny_config().to_dict())
    (tmp_path / "recipe.yml").write_text(yaml.safe_dump(plain))
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "recipe.yml").write_text(f"seed: {PYTHON.format(proof)}")
    assert "python/object/apply:os.mkdir" in fail("train", tmp_path / "recipe.yml")


def test_yaml_of_a_database_is_not_executed(tmp_path, proof):
    plain = recipe(tmp_path, wavlm=tiny_config().to_dict())
    (tmp_path / "recipe.yml").write_text(yaml.safe_dump(plain))
    with open(plain["database"], "a") as database:
        database.write(f"Hostile: {PYTHON.format(proof)}\n")
    output = fail("train", tmp_path / "recipe.yml")
    assert "python/object/apply:os.mkdir" in output
    assert "database.yml" in output


def test_yaml_of_statistics_is_not_executed(tmp_path, proof):
    (tmp_path / "statistics.yml").write_text(f"turns: {PYTHON.format(proof)}")
    with pytest.raises(yaml.YAMLError, match="python/object/apply:os.mkdir"):
        TurnStatistics.load(tmp_path / "statistics.yml")


def test_code_that_comes_with_wavlm_is_not_executed(tmp_path, proof, monkeypatch):
    """Nor is anybody asked whether it should be"""
    folder = tmp_path / "wavlm"
    config = transformers.WavLMConfig(model_type="unheard-of")
    config.auto_map = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
    config.save_pretrained(folder)
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"wavlm"', '"unheard-of"'))
    (folder / "code.py").write_text(f"import os\nos.mkdir({str(proof)!r})\n")
    monkeypatch.setattr("builtins.input", lambda *_: "yes")
    with pytest.raises(ValueError, match="must be a WavLM encoder: .* of type 'unheard-of'"):
        read_source(folder)
