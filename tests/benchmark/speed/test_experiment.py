"""`pyannote-prune benchmark speed`, on small networks"""

import json

import pytest
import torch
import transformers
from helpers import tiny_config, tiny_model
from typer.testing import CliRunner

from pyannote_prune import WavLMConfig, cost, save_checkpoint
from pyannote_prune.benchmark.speed.experiment import (
    deviation,
    measure_speed,
    measure_training,
    speech,
)
from pyannote_prune.benchmark.speed.measure import Measure
from pyannote_prune.benchmark.speed.report import speed_rows
from pyannote_prune.benchmark.speed.subjects import (
    PRESETS,
    YARDSTICKS,
    load,
    subjects,
    yardstick_config,
)
from pyannote_prune.benchmark.speed.training import distillation_step
from pyannote_prune.cli import app
from pyannote_prune.wavlm.huggingface import config_from_transformers


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    """Large ones, whose speed matters to none of these tests, take minutes on some processors"""
    monkeypatch.setattr("pyannote_prune.benchmark.speed.measure.SIDE", 64)


@pytest.fixture
def tiny(tmp_path) -> str:
    path = tmp_path / "tiny.ckpt"
    save_checkpoint(tiny_model(), path)
    return str(path)


def test_one_row_per_part_precision_and_case(tiny):
    results = measure_speed([tiny], [(1, 1.0), (2, 0.5)], num_rounds=1)
    assert len(results["rows"]) == 2 * 2 * 2
    macs = cost(tiny_config()).macs_per_second
    for row in results["rows"]:
        audio = row["batch_size"] * row["duration"]
        assert row["real_time_factor"] == pytest.approx(row["seconds"] / audio)
        if row["part"] == "encoder":
            share = macs * audio / row["seconds"] / results["peak"][row["dtype"]]
            assert row["share_of_peak"] == pytest.approx(share)
    # networks are compared with the first one of the same case
    ratios = [cells[-1] for cells in speed_rows(results)]
    assert ratios[0] == ratios[4] == "1.0 x"


def test_same_weights_in_both_precisions():
    model, waveforms = tiny_model(), speech(2, 1.0)
    found = subjects("tiny", model, ["encoder", "model"], ["float32", "bfloat16"])
    with torch.inference_mode():
        exact, fast = (s.run(waveforms) for s in found if s.part == "model")
        assert torch.equal(exact, model(waveforms[:, None]))
        difference = (fast - exact).abs().max()
        assert 0 < difference < 0.1
        expected = deviation(model, waveforms)
    assert expected["log_probabilities"] == pytest.approx(difference.item())
    assert 0.9 < expected["same_decisions"] <= 1
    assert model.wavlm.inference_dtype is None


def test_onnx_files_are_timed_with_each_engine(onnx_file):
    pytest.importorskip("openvino", reason="needs `pip install openvino`, of the test extra")
    results = measure_speed([str(onnx_file)], [(1, 0.5)], ["encoder"], ["float32"], num_rounds=1)
    names = [f"{onnx_file} ({engine})" for engine in ("onnxruntime", "openvino")]
    assert [row["name"] for row in results["rows"]] == names
    waveforms = speech(2, 0.5)
    scores = [one.run(waveforms) for one in subjects("it", load(str(onnx_file)), [], ["float32"])]
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=1e-3)


@pytest.mark.parametrize("part", ["encoder", "model"])
def test_engines_compute_the_network(part):
    model, waveforms = tiny_model(), speech(2, 1.0)
    found = subjects("tiny", model, [part], ["float32"], ["torch", "onnxruntime"])
    assert [one.name for one in found] == ["tiny", "tiny (onnxruntime)"]
    with torch.inference_mode():
        expected, scores = (one.run(waveforms) for one in found)
    if part == "encoder":
        expected = expected[-1]
    torch.testing.assert_close(torch.from_numpy(scores), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("engines", "device", "message"),
    [
        (["openvin"], "cpu", r"`engines` must be among torch, .*'openvin'"),
        (["torch", "onnxruntime"], "cuda", "timed on CPU, found onnxruntime and device 'cuda'"),
    ],
)
def test_impossible_engines_are_refused(engines, device, message):
    with pytest.raises(ValueError, match=message):
        measure_speed(["base"], [(1, 1.0)], device=device, engines=engines)


@pytest.mark.parametrize("name", YARDSTICKS)
def test_yardsticks_are_dense_presets(name):
    config = config_from_transformers(yardstick_config(YARDSTICKS[name]))
    assert cost(config) == cost(WavLMConfig.preset(YARDSTICKS[name]))


def test_unknown_model_is_refused_with_a_suggestion():
    with pytest.raises(ValueError, match=r"'base-s80'.*[Dd]id you mean 'base-s80-md'"):
        load("base-s80")


def test_training_step_moves_weights_gates_and_multipliers(monkeypatch):
    monkeypatch.setitem(PRESETS, "base", tiny_config().to_dict())
    optimizers, make = [], torch.optim.AdamW

    def spy(*args, **options):
        optimizers.append(make(*args, **options))
        return optimizers[-1]

    monkeypatch.setattr(torch.optim, "AdamW", spy)
    step = distillation_step("base", torch.randn(2, 8000))
    (optimizer,) = optimizers
    groups = [group["params"] for group in optimizer.param_groups]
    before = [[p.detach().clone() for p in group] for group in groups]
    # multipliers are at 0 before the first step: gates that are drawn at 1 feel nothing in it
    for _ in range(2):
        step()
    moved = [
        [not torch.equal(p, old) for p, old in zip(group, olds, strict=True)]
        for group, olds in zip(groups, before, strict=True)
    ]
    weights, gates, multipliers = moved
    # all but biases of keys, which attention does not see
    assert sum(weights) >= len(weights) - 2 * tiny_config().num_layers
    assert all(gates)
    assert all(multipliers)


def test_training_is_compared_with_three_passes(monkeypatch):
    monkeypatch.setitem(PRESETS, "base", tiny_config().to_dict())
    calls = []

    def take_turns(functions, num_rounds, device):
        for name, function in functions.items():
            function()
            calls.append(name)
        return {"step": Measure(6.0, 5.0, 7.0), "yardstick": Measure(4.0, 3.0, 5.0)}

    monkeypatch.setattr("pyannote_prune.benchmark.speed.experiment.take_turns", take_turns)
    passes, forward = [], transformers.WavLMModel.forward
    monkeypatch.setattr(
        transformers.WavLMModel,
        "forward",
        lambda self, waveforms: passes.append(waveforms.shape) or forward(self, waveforms),
    )
    results = measure_training(batch_size=1, duration=1.0, num_rounds=1)
    assert calls == ["step", "yardstick"]
    assert passes == [(1, 16000)] * 3
    assert results["ratio"] == 1.5


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_bfloat16_is_measured_where_it_is_known(tiny, known, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "pyannote_prune.benchmark.speed.subjects.supports_bfloat16", lambda device: known
    )
    command = ["benchmark", "speed", tiny, "--batch", "1", "--window", "1", "--rounds", "1"]
    result = CliRunner().invoke(app, [*command, "--output", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert len(json.loads((tmp_path / "speed.json").read_text())["rows"]) == 1 + known
    assert (tmp_path / "speed.md").read_text().count("tiny.ckpt, encoder") == 1 + known


def test_half_a_case_is_refused():
    result = CliRunner().invoke(app, ["benchmark", "speed", "--batch", "2"])
    assert result.exit_code == 1
    assert "go together" in result.output
