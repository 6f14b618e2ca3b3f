"""`pyannote-prune`"""

import logging
from dataclasses import replace

import pytest
import released
import torch
import transformers
from helpers import tiny_config, tiny_model
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from pyannote.audio import Model, Pipeline
from safetensors.torch import save_file
from typer.testing import CliRunner
from voices import generate_voices

from pyannote_prune import (
    WavLMSegmentation,
    __version__,
    cost,
    export_pipeline,
    gate,
    prune,
    save_checkpoint,
)
from pyannote_prune.cli import app
from pyannote_prune.cli.errors import console
from pyannote_prune.pipeline.card import read_card
from pyannote_prune.pipeline.diarization import DiarizationPipeline
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.released.diarizen import write_stand_in
from pyannote_prune.released.source import read_source
from pyannote_prune.segmentation.cost import model_cost
from pyannote_prune.segmentation.provenance import Provenance


def run(*arguments) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def fail(*arguments) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.fixture
def repository(tmp_path):
    write_stand_in(released.random_model(), tmp_path / "repository")
    return tmp_path / "repository"


def test_released_model_is_converted(repository, tmp_path):
    output = run("convert", repository, tmp_path / "model.ckpt")
    assert "untrained" not in output
    model = Model.from_pretrained(tmp_path / "model.ckpt")
    assert isinstance(model, WavLMSegmentation)
    assert model.specifications.duration == 16.0


def test_wavlm_of_transformers_is_converted_under_an_untrained_head(tmp_path):
    options = {"hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 40}
    config = transformers.WavLMConfig(
        num_hidden_layers=2, conv_dim=[12] * 7, num_conv_pos_embedding_groups=4, **options
    )
    transformers.WavLMModel(config).save_pretrained(tmp_path / "wavlm")
    checkpoint = tmp_path / "model.ckpt"
    output = run(
        *("convert", tmp_path / "wavlm", checkpoint, "--duration", 5),
        *("--max-speakers-per-chunk", 3, "--max-speakers-per-frame", 3),
    )
    assert "untrained head" in output
    specifications = Model.from_pretrained(checkpoint).specifications
    assert specifications.duration == 5.0
    assert specifications.num_powerset_classes == 8


def test_wavlm_file_of_diarizen_is_converted(repository, tmp_path):
    assert "untrained" in run("convert", repository / "wavlm_tiny_base.bin", tmp_path / "m.ckpt")
    assert Model.from_pretrained(tmp_path / "m.ckpt").specifications.duration == 8.0


def test_summary_gives_structure_cost_window_and_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(console, "width", 120)
    plain = tiny_config().to_dict()
    plain["layers"] = [{"heads": [1, 3], "neurons": 7}, {"heads": [], "neurons": 0}]
    model = gate(tiny_model(type(tiny_config()).from_dict(plain), duration=3.0), ["conformer_head"])
    model.conformer.conformer_layers[0].self_attn.gate.settle(torch.arange(4) < 3)
    model = prune(model)
    save_checkpoint(model, tmp_path / "model.ckpt")
    output = run("summary", tmp_path / "model.ckpt")
    assert "2/4 heads (1, 3), 7 neurons" in output
    assert "no attention, no feed-forward" in output
    assert "3/4 heads, 16 channels, 32 and 32 neurons" in output
    assert f"{model_cost(model).parameters:,}" in output
    assert f"{cost(model.wavlm).parameters:,}" in output
    assert "Window: 3 s" in output
    assert "7 powerset classes of at most 2 out of 3 speakers" in output
    assert f"{sum(p.numel() for p in model.parameters()):,}" in output


def test_summary_of_any_source_that_is_converted(repository):
    assert "Window: 16 s" in run("summary", repository)
    output = run("summary", repository / "wavlm_tiny_base.bin")
    assert "Parameters" in output
    assert "Window" not in output


def test_summary_of_a_preset(monkeypatch):
    monkeypatch.setattr(console, "width", 120)
    output = run("summary", "large-s80-md")
    assert "63,095,530" in output
    assert "3,681.2 M" in output
    assert "10/16 heads (0, 1, 3, 6, 7, 9, 10, 11, 12, 14), 1770 neurons" in output


def test_released_model_is_exported_with_its_settings(repository, parts, tmp_path):
    run("export", repository, tmp_path / "pipeline", "--parts", parts)
    pipeline = Pipeline.from_pretrained(tmp_path / "pipeline")
    assert type(pipeline) is DiarizationPipeline
    assert (pipeline.median_filter, pipeline.max_speakers) == (11, 20)


def test_licences_are_stated_kept_and_refused(checkpoint, repository, tmp_path):
    """That of released models, whatever they are converted into"""
    run("convert", checkpoint, tmp_path / "model.ckpt", "--licence", "MIT")
    found = read_source(tmp_path / "model.ckpt").provenance
    assert found == Provenance(source=checkpoint.name, licence="MIT")
    run("convert", repository, tmp_path / "released.safetensors")
    known = Provenance("repository", "DiariZen", "CC BY-NC 4.0")
    assert read_source(tmp_path / "released.safetensors").provenance == known
    encoder = read_source(repository / "wavlm_tiny_base.bin").provenance
    assert encoder == replace(known, source="wavlm_tiny_base.bin")
    for source in (repository, tmp_path / "released.safetensors"):
        for command, target in (("export", "it"), ("convert", "it.ckpt"), ("convert", "it.onnx")):
            output = fail(command, source, tmp_path / target, "--licence", "MIT")
            assert "`licence` must be 'CC BY-NC 4.0', found 'MIT'" in output
            assert not (tmp_path / target).exists()
    output = fail("export", checkpoint, tmp_path / "it", "--licence", "a|b")
    assert "`licence` must be one line" in output


def test_licences_are_on_the_card(checkpoint, parts, tmp_path):
    options = ("--parts", parts, "--licence", "MIT", "--data-licence", "ours")
    run("export", checkpoint, tmp_path / "pipeline", *options)
    claims, licence = read_card(tmp_path / "pipeline")
    assert licence == "mit"
    expected = Provenance(source=checkpoint.name, licence="MIT", data_licence="ours")
    assert claims.segmentation.provenance == expected


def test_wavlm_alone_is_not_exported(repository, parts, tmp_path):
    wavlm = repository / "wavlm_tiny_base.bin"
    output = fail("export", wavlm, tmp_path / "pipeline", "--parts", parts)
    assert "must have specifications and a classifier, found none: train it" in output
    assert not (tmp_path / "pipeline").exists()


def test_checkpoint_is_exported(checkpoint, parts, tmp_path):
    run("export", checkpoint, tmp_path / "pipeline", "--parts", parts)
    pipeline = Pipeline.from_pretrained(tmp_path / "pipeline")
    assert type(pipeline) is DiarizationPipeline
    expected = Model.from_pretrained(checkpoint).state_dict()
    found = pipeline._segmentation.model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in found.items())


def test_export_says_what_comes_from_the_hub(checkpoint, parts, tmp_path):
    assert "hub" not in run("export", checkpoint, tmp_path / "complete", "--parts", parts)
    output = run("export", checkpoint, tmp_path / "pipeline")
    assert "embedding comes from the hub (pyannote/speaker-diarization-community-1)" in output
    assert "With --parts FOLDER" in output


def test_checkpoint_is_converted_into_safetensors_and_back(checkpoint, parts, tmp_path):
    expected = Model.from_pretrained(checkpoint).state_dict()
    assert "untrained" not in run("convert", checkpoint, tmp_path / "model.safetensors")
    run("convert", tmp_path / "model.safetensors", tmp_path / "back.ckpt")
    found = Model.from_pretrained(tmp_path / "back.ckpt").state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in found.items())
    assert "Window: 2 s" in run("summary", tmp_path / "model.safetensors")
    options = ("--parts", parts, "--safetensors")
    run("export", tmp_path / "model.safetensors", tmp_path / "pipeline", *options)
    assert type(Pipeline.from_pretrained(tmp_path / "pipeline")) is DiarizationPipeline


def test_released_model_is_converted_into_safetensors(repository, tmp_path):
    run("convert", repository, tmp_path / "model.safetensors")
    model = WavLMSegmentation.from_pretrained(tmp_path / "model.safetensors")
    assert model.specifications.duration == 16.0


def test_weights_of_transformers_are_not_a_model(tmp_path):
    save_file({"weight": torch.ones(1)}, tmp_path / "model.safetensors")
    for command in (["summary"], ["convert"], ["export"]):
        target = [] if command == ["summary"] else [tmp_path / "target"]
        output = fail(*command, tmp_path / "model.safetensors", *target)
        assert "give the folder of that file to `pyannote-prune convert`" in output


def test_shipped_recipes_are_printed_as_they_are(tmp_path):
    for name in ("base-plus-s80", "large-s90"):
        (tmp_path / "recipe.yml").write_text(run("recipe", name))
        recipe = Recipe.load(tmp_path / "recipe.yml", check_files=False)
        assert recipe.pruning.target_sparsity == int(name[-2:]) / 100
    assert "did you mean 'base-plus-s80'" in fail("recipe", "base-s80")


def test_recipe_errors_are_messages(tmp_path):
    (tmp_path / "recipe.yml").write_text("protocl: X.SpeakerDiarization.Y")
    output = fail("train", tmp_path / "recipe.yml")
    assert "Unknown key `protocl` (did you mean 'protocol'?)" in output
    output = fail("train", tmp_path / "nowhere" / "recipe.yml")
    assert "`recipe` must be an existing file" in output
    assert "`pyannote-prune recipe tiny > " in output
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yml"]


def test_recipe_without_suffix_needs_a_folder(tmp_path):
    (tmp_path / "recipe").write_text("protocl: X.SpeakerDiarization.Y")
    output = fail("train", tmp_path / "recipe")
    assert "`--output` must be given for a recipe whose name has no suffix" in output
    assert "Rename the recipe, to recipe.yml" in output
    # it is read where there is a folder
    assert "Unknown key" in fail("train", tmp_path / "recipe", "--output", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["recipe"]


def test_errors_are_messages(tmp_path, parts):
    assert "must be a hub id or a local folder" in fail("convert", "no/where", tmp_path / "m.ckpt")
    assert "No such file" in fail("summary", tmp_path / "m.ckpt")
    assert "did you mean" not in fail("summary", "base-s90-md")
    (tmp_path / "file").write_bytes(b"not a checkpoint")
    assert "it is damaged" in fail("summary", tmp_path / "file")
    output = fail("export", "no/where", tmp_path / "pipeline", "--parts", parts)
    assert "found 'no/where': there is no such folder, and no such repository" in output
    assert "HF_HUB_OFFLINE" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_version():
    assert run("--version") == f"pyannote-prune {__version__}\n"


@pytest.mark.parametrize("name", ["model.onnx.data", "model.h5", "Model.CKPT.gz"])
def test_checkpoints_of_other_formats_are_refused_before_anything_is_read(tmp_path, name):
    output = fail("convert", tmp_path / "nowhere.ckpt", tmp_path / name)
    known = "must end in .safetensors, or, for the format of PyTorch, in .ckpt, .bin, .pt, .pth"
    assert f"Names of checkpoints {known}, found '{tmp_path / name}'" in output
    assert not list(tmp_path.iterdir())


def test_folders_are_not_called_as_files_are(checkpoint, parts, tmp_path):
    output = fail("export", checkpoint, tmp_path / "model.onnx", "--parts", parts)
    assert "`folder` must be a folder, found" in output
    assert "the name of a file: leave .onnx out." in output
    output = fail("simulate", generate_voices(tmp_path / "voices"), tmp_path / "talks.wav")
    assert "`output` must be a folder, found" in output
    assert [path.name for path in tmp_path.iterdir()] == ["voices"]


@pytest.mark.parametrize("charset", ["ascii", "latin-1"])
def test_names_that_the_output_lacks_are_printed_escaped(checkpoint, parts, tmp_path, charset):
    model, folder = tmp_path / "modèle会.ckpt", tmp_path / "会"
    commands = (
        (["convert", checkpoint, model], model.name),
        (["summary", model], model.name),
        (["export", model, folder, "--parts", parts], folder.name),
        (["summary", tmp_path / "会.ckpt"], "会.ckpt"),
    )
    for arguments, name in commands:
        result = CliRunner(charset=charset).invoke(app, [*map(str, arguments)])
        assert result.exit_code == int(name == "会.ckpt"), result.exception
        printed = name.encode(charset, "backslashreplace").decode(charset)
        assert printed in "".join(result.output.split())


def test_folders_and_names_of_the_hub_are_called_what_they_are(
    checkpoint, parts, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    export_pipeline(checkpoint, "run/pipeline", parts)
    model = "give 'run/pipeline/segmentation/pytorch_model.bin', its segmentation model"
    for folder in ("run", "run/pipeline"):
        for command, *target in (["summary"], ["convert", "new.ckpt"], ["export", "new"]):
            output = fail(command, folder, *target)
            assert f"must be a file, found the folder '{folder}': {model}" in output
    for command, *target in (["summary"], ["convert", "new.ckpt"], ["export", "new"]):
        output = fail(command, "owner/name", *target)
        assert "found 'owner/name': there is no such folder, and no such repository" in output
    assert "No such file: 'gone.ckpt'." in fail("convert", "gone.ckpt", "new.ckpt")
    for command, *target in (["summary"], ["convert", "new.ckpt"], ["export", "new"]):
        output = fail(command, "run/pipeline/plda", *target)
        assert "'run/pipeline/plda' must be in one of these formats: checkpoint, rel" in output
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_brackets_of_paths_are_printed(checkpoint, parts, tmp_path):
    path = tmp_path / "take [one]" / "[bold]model.ckpt"
    assert f"Wrote {path}" in run("convert", checkpoint, path)
    assert str(path) in run("summary", path)
    folder = tmp_path / "take [one]" / "pipeline"
    assert f"Wrote {folder}" in run("export", path, folder, "--parts", parts)


@pytest.fixture
def package_logger():
    """What `PYANNOTE_PRUNE_DEBUG` changes is put back"""
    logger = logging.getLogger("pyannote_prune")
    yield logger
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("value", ["1", "0", "", None])
def test_tracebacks_are_for_debugging(tmp_path, monkeypatch, package_logger, value):
    if value is None:
        monkeypatch.delenv("PYANNOTE_PRUNE_DEBUG", raising=False)
    else:
        monkeypatch.setenv("PYANNOTE_PRUNE_DEBUG", value)
    (tmp_path / "file").write_bytes(b"not a checkpoint")
    result = CliRunner().invoke(app, ["summary", str(tmp_path / "file")])
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert ("Traceback" in result.output) == (value == "1")
    assert ("in read_safely" in result.output) == (value == "1")
    assert "PYANNOTE_PRUNE_DEBUG=1" in run("--help")


def test_tracebacks_of_recordings_are_for_debugging_too(
    checkpoint, parts, tmp_path, monkeypatch, package_logger
):
    monkeypatch.setenv("PYANNOTE_PRUNE_DEBUG", "1")
    pipeline = export_pipeline(checkpoint, tmp_path / "pipeline", parts)
    (tmp_path / "broken.wav").write_bytes(b"RIFF, and nothing")
    arguments = ["apply", pipeline, tmp_path / "broken.wav", "--into", tmp_path / "out"]
    result = CliRunner().invoke(app, [*map(str, arguments), "--device", "cpu"])
    assert result.exit_code == 1
    assert "'broken' failed" in result.output
    assert "torchcodec" in result.output
    assert "Error: 1 of 1 recordings failed" in result.output


def test_lightning_s_complaints_are_messages(tmp_path, monkeypatch):
    def complain(*args, **kwargs):
        raise MisconfigurationException("no such device")

    monkeypatch.setattr("pyannote_prune.cli.models.open_source", complain)
    assert "Error: no such device" in fail("summary", tmp_path / "m.ckpt")
