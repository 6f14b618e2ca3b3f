"""The whole experiment on a tiny scale: finished, continued, failed, refused"""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
import torch
from helpers import wait_for
from pyannote.core import Annotation
from pyannote.database.util import load_rttm
from pyannote.metrics.diarization import DiarizationErrorRate
from typer.testing import CliRunner

from pyannote_prune.benchmark.accuracy import SMALL, Arm, Experiment, WholeDiarization
from pyannote_prune.benchmark.accuracy.pretraining import pretrain
from pyannote_prune.benchmark.accuracy.recipes import PROTOCOL
from pyannote_prune.cli import app
from pyannote_prune.files.pickles import read_safely
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.training.progress import StepProgress
from pyannote_prune.wavlm.config import WavLMConfig

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TINY = replace(
    SMALL,
    name="tiny",
    sparsities={
        method: {0.8: 1} for method in SMALL.sparsities if method not in ("gradient", "magnitude")
    },
    num_long=1,
    long_durations=(8.0,),
    num_train=4,
    num_development=1,
    num_test=1,
    epoch=2,
    pretrain=1,
    fine_tune=1,
    prune=2,
    warm_up=1,
    distil=1,
    train=1,
)

# arms that need the same one: they run at the same time
LOST = Arm("gates", 1, 0.8), Arm("longer", 1)


@pytest.fixture(scope="module")
def finished(voices, tmp_path_factory) -> Experiment:
    experiment = Experiment(voices, tmp_path_factory.mktemp("tiny") / "run", TINY)
    experiment(num_jobs=2)
    return experiment


def test_pruned_arms_have_the_size_that_they_are_compared_at(finished):
    results = json.loads((finished.output / "results.json").read_text())
    found = {arm["group"]: arm for arm in results["arms"]}
    assert set(found) == {arm.group for arm in TINY.arms()}
    for group in ("gates-80", "scratch-80", "magnitude-layer-80", "early-80"):
        assert found[group]["removed"] == pytest.approx(0.8, abs=0.005), group
    assert found["whole-80"]["removed_model"] == pytest.approx(0.8, abs=0.005)
    dense, macs = found["dense"], found["gates-80-macs"]
    removed = 1 - macs["macs_per_second"] / dense["macs_per_second"]
    assert removed == pytest.approx(0.8, abs=0.005)
    assert found["longer"]["parameters"] == dense["parameters"]
    assert "test" not in found["pretrained"]
    assert results["real_time_factors"]["gates-80"] < results["real_time_factors"]["dense"]


def test_same_structure_other_weights(finished):
    gates, scratch = (
        load_checkpoint(finished._model(Arm(method, 1, 0.8))) for method in ("gates", "scratch")
    )
    assert gates.wavlm.config == scratch.wavlm.config
    assert (gates.projection.weight != scratch.projection.weight).any()


def test_finished_arms_start_no_process(finished, monkeypatch):
    monkeypatch.delattr("pyannote_prune.benchmark.accuracy.parallel.ProcessPoolExecutor")
    former, reported = (finished.output / "results.json").read_text(), []
    finished(num_jobs=2, report=lambda arm, result: reported.append(arm))
    assert (finished.output / "results.json").read_text() == former
    assert sorted(arm.name for arm in reported) == sorted(arm.name for arm in TINY.arms())


def test_whole_diarizations_of_arms_that_are_there(voices, finished, parts, monkeypatch, tmp_path):
    """Models stay, and so do scores with the same options"""
    shutil.copytree(finished.output, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    scored = []

    def diarize(options, model, recordings):
        scored.append((options.threshold, model, [one["uri"] for one in recordings]))
        return WholeDiarization.__call__(options, model, recordings)

    def run(threshold: float) -> dict:
        options = WholeDiarization(parts / "embedding", threshold, groups=("gates-80",))
        experiment = Experiment(voices, tmp_path / "run", TINY, diarization=options)
        monkeypatch.setattr(
            "pyannote_prune.benchmark.accuracy.experiment.run_in_parallel", in_this_process
        )
        monkeypatch.setattr(experiment, "diarization", Spy(options))
        return experiment(groups=["gates-80"])

    class Spy:
        def __init__(self, options):
            self.wrapped = options

        def __getattr__(self, name):
            return getattr(self.wrapped, name)

        def __call__(self, model, recordings):
            return diarize(self.wrapped, model, recordings)

    factors = json.loads((finished.output / "results.json").read_text())["real_time_factors"]
    results = run(0.7)
    assert results["real_time_factors"].items() < factors.items()
    assert run(0.7) == results
    run(0.8)
    assert [threshold for threshold, *_ in scored] == [0.7, 0.8]
    assert scored[0][2] == ["test0000-8s"]
    arms = {arm["group"]: arm for arm in results["arms"]}
    assert [group for group, arm in arms.items() if "diarization" in arm] == ["gates-80"]
    assert arms["gates-80"]["diarization"]["recordings"].keys() == {"test0000-8s"}
    assert results["diarization"]["threshold"] == 0.7
    assert before == {path: path.stat().st_mtime_ns for path in before}


def in_this_process(run_arm, log_of, arms, num_jobs, report, finished) -> dict:
    return {arm.name: finished.get(arm.name) or run_arm(arm) for arm in arms}


@pytest.fixture
def unfinished(voices, finished, tmp_path) -> Experiment:
    """Copy of the experiment whose results of two arms are lost"""
    experiment = Experiment(voices, tmp_path / "run", TINY)
    shutil.copytree(finished.output, experiment.output)
    for arm in LOST:
        shutil.rmtree(experiment.folder(arm))
    return experiment


def start(experiment: Experiment, folder: Path) -> tuple[subprocess.Popen, list[psutil.Process]]:
    """Start the command, and wait until it prunes an arm, in a process of its own"""
    command = ["benchmark", "accuracy", str(experiment.voices), "--small", "--jobs", "2"]
    command += ["--output", str(experiment.output)]
    script = folder / "script.py"
    script.write_text(
        "from pyannote_prune.benchmark.accuracy import Scale\n"
        "from pyannote_prune.cli import app, benchmark_accuracy\n"
        "if __name__ == '__main__':\n"
        f"    benchmark_accuracy.SMALL = Scale(**{asdict(experiment.scale)!r})\n"
        f"    app({command!r})\n",
        encoding="utf-8",
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen([sys.executable, script], **pipes)
    wait_for(experiment.folder(LOST[0]) / "run" / "2-prune", process, timeout=300)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    return process, children


def test_killed_then_continued_ends_as_if_undisturbed(unfinished, finished, tmp_path):
    """And arms that are there are not run again"""
    process, children = start(unfinished, tmp_path)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=90)
    assert not alive

    kept = list(unfinished.output.glob("arms/*/result.json"))
    assert len(kept) == len(TINY.arms()) - len(LOST)
    stamps = {path: path.stat().st_mtime_ns for path in kept}
    run = []
    # as many jobs as at first: each of them has as many threads, whose number changes rounding
    unfinished(num_jobs=2, report=lambda arm, result: run.append(arm.name))
    assert sorted(run) == sorted(arm.name for arm in TINY.arms())
    assert stamps == {path: path.stat().st_mtime_ns for path in kept}
    found, expected = (
        [
            arm | {"seconds": None}
            for arm in json.loads((experiment.output / "results.json").read_text())["arms"]
        ]
        for experiment in (unfinished, finished)
    )
    assert found == expected


def test_stopped_command_takes_its_arms_along(unfinished, tmp_path):
    """And does not wait for their end, which may be hours away"""
    process, children = start(unfinished, tmp_path)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    assert output.splitlines()[-1] == "Stopped by SIGTERM: run the same command again to resume."
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert not any((unfinished.folder(arm) / "result.json").exists() for arm in LOST)


class Interrupted(Exception):
    """What ends a training in this file"""


def test_interrupted_pretraining_goes_on(voices, tmp_path, monkeypatch):
    """From its last epoch, to the same model"""
    scale = replace(TINY, pretrain=2)
    database = Experiment(voices, tmp_path / "run", scale).write_data()
    config = WavLMConfig.dense(**scale.wavlm)
    expected = pretrain(config, scale, database, PROTOCOL, 1, tmp_path / "whole")

    class Interrupting(StepProgress):
        def on_train_epoch_start(self, trainer, model):
            if trainer.current_epoch == 1:
                raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr("pyannote_prune.benchmark.accuracy.pretraining.StepProgress", Interrupting)
        with pytest.raises(Interrupted):
            pretrain(config, scale, database, PROTOCOL, 1, tmp_path / "resumed")
    assert not (tmp_path / "resumed" / "model.ckpt").exists()
    content = read_safely(tmp_path / "resumed" / "last.ckpt")
    assert content["epoch"] == 0
    # names of voices as plain strings: an array of NumPy would be a pickle
    names = content["pyannote.audio"]["specifications"].classes
    assert {type(name) for name in names} == {str}
    found = pretrain(config, scale, database, PROTOCOL, 1, tmp_path / "resumed")
    a, b = (load_checkpoint(path).state_dict() for path in (found, expected))
    assert all(torch.equal(a[key], value) for key, value in b.items())


def test_failed_arm_is_named_and_others_go_on(unfinished):
    failing, other = LOST
    # its folder belongs to something else
    (unfinished.folder(failing) / "run").mkdir(parents=True)
    (unfinished.folder(failing) / "run" / "precious").touch()
    with pytest.raises(RuntimeError, match=r"1 of 4 arms failed: gates-80-seed1.*seed1.log"):
        unfinished(groups=["gates-80", "longer"])
    assert (unfinished.folder(other) / "result.json").is_file()


def test_folder_of_another_experiment_is_refused(voices, finished):
    with pytest.raises(ValueError, match=r"folder of the same experiment.*scale.epoch"):
        Experiment(voices, finished.output, replace(TINY, epoch=3))()


def test_small_scale_from_the_command_line(voices, tmp_path, monkeypatch):
    """In the default folder. Arms that say whether pruning learns: others have the tiny scale"""
    epochs = {"pretrain": 8, "fine_tune": 10, "prune": 8, "distil": 1, "train": 6}
    scale = replace(SMALL, sparsities={"gates": {0.8: 1}}, **epochs)
    monkeypatch.setattr("pyannote_prune.cli.benchmark_accuracy.SMALL", scale)
    monkeypatch.chdir(tmp_path)
    output = Path("accuracy")
    command = ["benchmark", "accuracy", str(voices), "--small"]
    result = CliRunner().invoke(app, [*command, "--arm", "gates-80"])
    assert result.exit_code == 0, result.output
    for name in ("table.md", "der-against-sparsity.png", "results.json"):
        assert (output / name).is_file()
    found = {arm["group"]: arm for arm in json.loads((output / "results.json").read_text())["arms"]}
    rates = {group: arm["test"]["der"] for group, arm in found.items() if "test" in arm}
    # in so few steps, no more than this: everything was trained, and pruning is not a disaster
    assert 0 < rates["dense"] < rate_of_one_speaker(output / "data"), rates
    assert rates["gates-80"] < rates["dense"] + 0.05, rates


def rate_of_one_speaker(data: Path) -> float:
    """Error rate of who hears nothing, and says that the same person speaks all the time"""
    metric = DiarizationErrorRate()
    for uri, reference in load_rttm(data / "test.rttm").items():
        everything = reference.get_timeline().extent()
        metric(reference, Annotation.from_records([(everything, "_", "somebody")]), uri=uri)
    return abs(metric)
