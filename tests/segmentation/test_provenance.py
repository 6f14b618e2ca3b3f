"""Provenance: what models keep about their origin, and what may be stated"""

from dataclasses import replace
from pathlib import Path

import lightning
import pytest
import torch
from helpers import QUIET, tiny_model, tiny_trainee
from hypothesis import given
from hypothesis import strategies as st
from pyannote.audio import Model

from pyannote_prune import WavLMConfig, cost, gate, prune, save_checkpoint
from pyannote_prune.files.pickles import read_safely
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.licences import NON_COMMERCIAL, strictness
from pyannote_prune.segmentation.provenance import KEY, Provenance, dense_parameters, source_name

KNOWN = Provenance(
    source="microsoft/wavlm-base-plus",
    licence="MIT",
    data_licence="CC BY 4.0 (AMI)",
    training=("AMI.SpeakerDiarization.SDM", "X.SpeakerDiarization.Compound"),
    dense_parameters=1000,
    validation_loss=0.5,
    error_rate=0.125,
)
OWNED = Provenance(source="BUT-FIT/x", owner="DiariZen", licence=NON_COMMERCIAL)
FORMER = Path(__file__).parents[1] / "former_releases" / "0.1.0"

lines = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=200).map(
    lambda text: "".join("_" if character in "`<>|" else character for character in text)
)


@pytest.fixture
def known():
    model = tiny_model()
    model.provenance = KNOWN
    return model


@pytest.mark.parametrize("name", ["model.ckpt", "model.safetensors"])
@pytest.mark.parametrize("provenance", [KNOWN, OWNED, KNOWN.distilled(OWNED), Provenance()])
def test_files_keep_it(tmp_path, name, provenance):
    model = tiny_model()
    model.provenance = provenance
    save_checkpoint(model, tmp_path / name)
    assert load_checkpoint(tmp_path / name).provenance == provenance


def test_pyannote_reads_it_too(known, tmp_path):
    save_checkpoint(known, tmp_path / "model.ckpt")
    assert Model.from_pretrained(tmp_path / "model.ckpt").provenance == KNOWN


@pytest.mark.parametrize("name", ["tiny.ckpt", "tiny.safetensors"])
def test_files_of_release_0_1_0_say_nothing(name):
    assert load_checkpoint(FORMER / name).provenance == Provenance()


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_same_model_same_bytes(known, tmp_path, suffix):
    known.provenance = replace(KNOWN, source="é会")
    for i in range(4):
        save_checkpoint(known, tmp_path / f"{i}{suffix}")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert load_checkpoint(tmp_path / f"0{suffix}").provenance == known.provenance


def test_gates_and_pruning_keep_all_but_scores(known):
    gated = gate(known)
    expected = replace(KNOWN, validation_loss=None, error_rate=None)
    assert gated.provenance == expected
    smaller = prune(gated, target_sparsity=0.5)
    assert smaller.provenance == expected  # it had been pruned before
    known.provenance = Provenance()
    again = prune(gate(prune(gate(known), target_sparsity=0.5)), target_sparsity=0.3)
    # of the first model, and not of the second one
    assert again.provenance.dense_parameters == cost(known.wavlm).parameters


def test_training_adds_its_protocol(known, protocol):
    model = tiny_trainee(protocol, False, known, duration=2.0, batch_size=2, num_workers=0)
    options = {"max_steps": 1, "limit_val_batches": 0, "enable_checkpointing": False}
    lightning.Trainer(**QUIET | options).fit(model)
    assert model.provenance == KNOWN.trained(protocol.name)
    assert model.provenance.training == (*KNOWN.training, protocol.name)
    assert model.provenance.error_rate is None


names = st.lists(lines, unique=True, max_size=3).map(tuple)
some = st.builds(
    Provenance,
    source=st.none() | lines,
    owner=st.none() | lines,
    licence=st.none() | lines | st.sampled_from(("MIT", "CC BY-SA 4.0", NON_COMMERCIAL)),
    training=names,
    dense_parameters=st.none() | st.integers(1, 2**40),
    error_rate=st.none() | st.floats(0, 1e6),
    teachers=names,
)


@given(some)
def test_plain_values_give_the_same(provenance):
    assert Provenance.from_dict(provenance.to_dict()) == provenance


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"licence": "MIT\nevil: true"}, "`licence` must be one line .* found 'MIT"),
        ({"source": "<script>"}, "`source` must be one line"),
        ({"training": ["a", "b|c"]}, r"`training\[1\]` must be one line"),
        ({"owner": "x" * 201}, "`owner` must be one line of at most 200 characters"),
        ({"dense_parameters": 0}, "`provenance.dense_parameters` must be"),
        ({"error_rate": float("nan")}, "`provenance.error_rate` must be"),
        ({"license": "MIT"}, r"`provenance.license` \(did you mean 'licence'\?\)"),
        ({"teachers": ["a", "b\nc"]}, r"`teachers\[1\]` must be one line"),
        (["MIT"], "`provenance` must be a dictionary"),
    ],
)
def test_impossible_values_in_files_are_refused(tmp_path, plain, message):
    path = tmp_path / "model.ckpt"
    save_checkpoint(tiny_model(), path)
    torch.save(read_safely(path) | {KEY: plain}, path)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(path)


def test_licences_are_stated():
    stated = Provenance(source="x").stated("MIT", "CC BY 4.0")
    assert stated == Provenance(source="x", licence="MIT", data_licence="CC BY 4.0")
    assert stated.stated() == stated
    assert stated.stated("Apache 2.0").licence == "Apache 2.0"
    with pytest.raises(ValueError, match="`data_licence` must be one line"):
        stated.stated(data_licence="a\nb")


def test_licences_of_released_models_stay():
    for same in (None, "CC BY-NC 4.0", "cc-by-nc-4.0"):
        assert OWNED.stated(same) == OWNED
    assert OWNED.stated(data_licence="mine").licence == NON_COMMERCIAL
    message = "must be 'CC BY-NC 4.0', found 'MIT': .* from BUT-FIT/x of DiariZen, .* Leave it out"
    for provenance in (OWNED, OWNED.trained("Mine.SpeakerDiarization.Own")):
        with pytest.raises(ValueError, match=f"`licence` {message}"):
            provenance.stated("MIT")


@given(some, some)
def test_distilled_weights_have_the_stricter_licence(student, teacher):
    distilled = student.distilled(teacher)
    # a resumed training adds its teacher again
    assert distilled.distilled(teacher) == distilled
    assert replace(distilled, **restriction(student), teachers=()) == replace(student, teachers=())
    ranks = {rank(one): restriction(one) for one in (teacher, student)}
    assert restriction(distilled) == ranks[max(ranks)]
    known = {*student.teachers, *teacher.teachers, teacher.source} - {None, student.source}
    assert {*distilled.teachers} == known


def restriction(provenance: Provenance) -> dict[str, str | None]:
    return {"owner": provenance.owner, "licence": provenance.licence}


def rank(provenance: Provenance) -> tuple[bool, int]:
    """Licences that hold for all that is made from weights come first"""
    holds = None not in restriction(provenance).values()
    return holds, strictness(provenance.licence)


@given(some)
def test_nothing_is_claimed_of_a_teacher_of_which_nothing_is_known(student):
    found = student.distilled(Provenance(training=("X.SpeakerDiarization.Y",), error_rate=0.1))
    others = (name for name in student.teachers if name != student.source)
    assert found == replace(student, teachers=tuple(others))


def test_licences_of_released_teachers_stay():
    student = KNOWN.distilled(OWNED)
    assert student == replace(
        KNOWN, owner="DiariZen", licence=NON_COMMERCIAL, teachers=("BUT-FIT/x",)
    )
    # as does that of a teacher whose own teacher it was
    for found in (student, Provenance().distilled(student), student.trained("X.Y.Z")):
        with pytest.raises(ValueError, match="must be 'CC BY-NC 4.0', found 'MIT': .*made or dist"):
            found.stated("MIT")
    # a model that is made from its teacher has another origin already
    assert OWNED.distilled(OWNED.trained("X.Y.Z")) == OWNED


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        (None, "CC BY-SA 4.0"),
        ("MIT", "gpl-3.0"),
        ("CC BY 4.0", "CC BY-SA 4.0"),
        ("cc-by-sa-4.0", "CC BY-ND 4.0"),
        ("CC BY-ND 4.0", "Ours: see LICENCE"),
        ("Ours: see LICENCE", "CC BY-NC 4.0"),
        ("CC BY-NC 4.0", "CC BY-NC-SA 4.0"),
        ("CC BY-NC-SA 4.0", "CC BY-NC-ND 4.0"),
    ],
)
def test_licences_that_restrict_more_are_stricter(lower, higher):
    assert strictness(lower) < strictness(higher)


def test_names_of_sources_have_no_folders_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "secret" / "wavlm`|\n"
    folder.mkdir(parents=True)
    for source in (folder, str(folder), Path("secret") / folder.name):
        assert source_name(source) == r"wavlm__\n"
    assert source_name("microsoft/wavlm-large") == "microsoft/wavlm-large"
    assert source_name("/gone/model.ckpt") == "model.ckpt"


def test_published_structures_are_known_after_pruning():
    for name in ("base", "large"):
        dense = WavLMConfig.preset(name)
        pruned = WavLMConfig.preset(f"{name}-s80-md")
        assert dense_parameters(pruned) == dense_parameters(dense) == cost(dense).parameters
    assert dense_parameters(WavLMConfig.preset("tiny")) is None
