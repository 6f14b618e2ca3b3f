"""Model cards of exported folders"""

import json
import re

import onnx_files
import pytest
import torch
import yaml
from helpers import tiny_model
from huggingface_hub import ModelCard
from pyannote.audio import Pipeline
from released import random_model
from scipy.io import wavfile

from pyannote_prune import __version__, cost, export_pipeline, gate, load_diarizen, prune
from pyannote_prune.pipeline.card import CARD, CLAIMS, TAGS, digests, read_card
from pyannote_prune.pipeline.facts import facts_of
from pyannote_prune.pipeline.settings import ORACLE_SETTINGS
from pyannote_prune.released.diarizen import write_stand_in
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.provenance import KEY, Provenance

KNOWN = Provenance(
    source="microsoft/wavlm-base-plus",
    training=("AMI.SpeakerDiarization.SDM",),
    validation_loss=0.5,
    error_rate=0.125,
)


def export(model, folder, **options) -> ModelCard:
    """Card of a folder without embedding, whose export takes no time"""
    return ModelCard.load(
        export_pipeline(model, folder, settings=ORACLE_SETTINGS, **options) / CARD
    )


def test_card_says_what_the_model_is(tmp_path):
    dense = tiny_model()
    model = prune(gate(dense), target_sparsity=0.5)
    model.provenance = KNOWN.pruned(dense.wavlm.config)
    card = export(model, tmp_path / "it", licence="MIT", data_licence="CC BY 4.0 (AMI)")
    size = cost(model.wavlm)
    removed = 1 - size.parameters / cost(dense.wavlm).parameters
    for text in (
        "made from | [microsoft/wavlm-base-plus](https://huggingface.co/microsoft/wavlm-base-plus)",
        "`AMI.SpeakerDiarization.SDM`",
        f"{size.parameters:,}",
        f"{round(size.macs_per_second):,}",
        f"{100 * removed:.1f} % of its parameters were removed",
        "7 powerset classes of at most 2 out of 3 speakers",
        "| loss | 0.500 |",
        "| diarization error rate of windows | 12.5 % |",
        "Weights: MIT, as stated",
        "Training data: CC BY 4.0 (AMI)",
        "10.21437/Interspeech.2025-484",
    ):
        assert text in card.text, text
    data = card.data.to_dict()
    assert data["tags"] == [*TAGS]
    assert (data["license"], data["base_model"]) == ("mit", "microsoft/wavlm-base-plus")
    assert (data["library_name"], data["pipeline_tag"]) == (
        "pyannote-audio",
        "automatic-speech-recognition",
    )


def test_claims_are_read_back(tmp_path, checkpoint):
    folder = export_pipeline(checkpoint, tmp_path / "it", settings=ORACLE_SETTINGS)
    claims, licence = read_card(folder)
    assert licence is None
    assert claims.version == __version__
    assert claims.segmentation == facts_of(load_checkpoint(checkpoint))
    assert claims.files == digests(folder)
    assert [*claims.files] == ["segmentation/pytorch_model.bin"]


@pytest.mark.parametrize("safetensors", [False, True])
def test_same_model_same_folder(checkpoint, parts, tmp_path, safetensors):
    first, second = (
        export_pipeline(checkpoint, tmp_path / name, parts, safetensors=safetensors)
        for name in ("first", "second")
    )
    for path in first.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path
    text = (first / CARD).read_text(encoding="utf-8")
    assert not re.search(
        rf"{re.escape(str(tmp_path))}|{re.escape(str(parts))}|20\d\d-\d\d-\d\d", text
    )


@pytest.mark.parametrize(
    ("licence", "data"),
    [
        (None, {"license": "unknown"}),
        ("cc by-sa 4.0", {"license": "cc-by-sa-4.0"}),
        ("Ours: see LICENCE", {"license": "other", "license_name": "Ours: see LICENCE"}),
    ],
)
def test_licences_are_named_as_the_hub_does(tmp_path, licence, data):
    card = export(tiny_model(), tmp_path / "it", licence=licence)
    found = card.data.to_dict()
    assert {key: found[key] for key in found if key.startswith("license")} == data
    assert (licence or "none was stated") in card.text
    assert read_card(tmp_path / "it")[1] == (
        None if licence is None else data.get("license_name", data["license"])
    )


def test_cards_of_released_models_say_that_they_are_not_for_commercial_use(tmp_path):
    model = load_diarizen(write_stand_in(random_model(), tmp_path / "diarizen-x"))
    assert model.provenance == Provenance("diarizen-x", "DiariZen", "CC BY-NC 4.0")
    card = export(model, tmp_path / "it")
    assert "CC BY-NC 4.0, that of the weights released by DiariZen" in card.text
    assert "Not for commercial use." in card.text
    assert card.data.license == "cc-by-nc-4.0"
    # whatever is done with it, and whatever is said about it
    saved = tmp_path / "it" / "segmentation" / "pytorch_model.bin"
    pruned = prune(gate(load_checkpoint(saved)), target_sparsity=0.5)
    with pytest.raises(ValueError, match="`licence` must be 'CC BY-NC 4.0', found 'MIT'"):
        export_pipeline(pruned, tmp_path / "other", settings=ORACLE_SETTINGS, licence="MIT")
    assert not (tmp_path / "other").exists()
    assert export(pruned, tmp_path / "other").data.license == "cc-by-nc-4.0"


def test_card_names_teachers_and_their_licence(tmp_path):
    model = tiny_model()
    model.provenance = KNOWN.stated("MIT").distilled(Provenance("their/teacher"))
    text = export(model, tmp_path / "stated").text
    link = "[their/teacher](https://huggingface.co/their/teacher)"
    assert f"| distilled from | {link} |" in text
    assert "Weights: MIT, as stated" in text
    assert f"{link}, which they were distilled from: see the licence there." in text

    released = Provenance("BUT-FIT/x", "DiariZen", "CC BY-NC 4.0")
    model.provenance = model.provenance.distilled(released)
    card = export(model, tmp_path / "released")
    both = f"{link}, [BUT-FIT/x](https://huggingface.co/BUT-FIT/x)"
    assert f"| distilled from | {both} |" in card.text
    assert "released by DiariZen that they were made or distilled from. Not for comm" in card.text
    assert card.data.license == "cc-by-nc-4.0"
    assert card.data.base_model == KNOWN.source
    assert read_card(tmp_path / "released")[0].segmentation.provenance == model.provenance


def test_user_s_model_does_not_change(tmp_path):
    model = tiny_model()
    export(model, tmp_path / "it", licence="MIT")
    assert model.provenance == Provenance()
    assert load_checkpoint(tmp_path / "it/segmentation/pytorch_model.bin").provenance == (
        Provenance(licence="MIT")
    )


@pytest.mark.parametrize("kind", ["exported", "oracle"])
def test_example_of_the_card_runs(kind, request, tmp_path, monkeypatch, capsys):
    folder = request.getfixturevalue(kind)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FOLDER").symlink_to(folder)
    wavfile.write("conversation.wav", 16000, torch.randn(48000).mul(0.1).numpy())
    text = (folder / CARD).read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    exec(code, {})
    assert "-->" in capsys.readouterr().out
    assert "pip install pyannote-prune\n" in text
    assert ("from references" in text) == (kind == "oracle")


def test_facts_of_an_onnx_file_are_those_of_the_model(onnx_folder, checkpoint):
    text = (onnx_folder / CARD).read_text(encoding="utf-8")
    assert "pip install 'pyannote-prune[onnx]'" in text
    claims, _ = read_card(onnx_folder)
    assert {"segmentation/model.onnx", "embedding/model.onnx"} < claims.files.keys()
    model = Pipeline.from_pretrained(onnx_folder)._segmentation.model
    assert facts_of(model) == claims.segmentation == facts_of(load_checkpoint(checkpoint))


@pytest.mark.slow
def test_onnx_files_keep_the_provenance(tmp_path):
    model = tiny_model()
    model.provenance = KNOWN
    onnx_files.save(model, tmp_path, licence="MIT")
    metadata = onnx_files.metadata(tmp_path / "model.onnx")
    assert (metadata["source"], metadata["licence"]) == (KNOWN.source, "MIT")
    assert Provenance.from_dict(json.loads(metadata[KEY])) == KNOWN.stated("MIT")


def test_cards_of_others_are_refused(checkpoint, tmp_path):
    folder = export_pipeline(checkpoint, tmp_path / "it", settings=ORACLE_SETTINGS)
    path = folder / CARD
    text = path.read_text(encoding="utf-8")

    def refused(changed: str, message: str):
        path.write_text(changed, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            read_card(folder)

    refused("# A title\n", "must have claims in its metadata .* found none: it was not written")
    refused("---\nlicense: mit\n---\n", "must have claims in its metadata")
    refused("---\n- 1\n---\n", "must start with metadata in YAML")
    refused("---\na: [\n---\n", "must start with metadata in YAML")
    refused(text.replace("    parameters:", "    parametres:"), "is damaged: .*`.*parametres`")
    refused(re.sub("classes: .*", "classes: many", text), "`.*classes` must be an integer")
    data = yaml.safe_load(text.split("---")[1])[CLAIMS] | {"files": 3}
    refused(f"---\n{yaml.safe_dump({CLAIMS: data})}---\n", "`pyannote_prune.files` must be a dict")
    path.unlink()
    with pytest.raises(ValueError, match=r"must have a card, found no README\.md\. Export the"):
        read_card(folder)
