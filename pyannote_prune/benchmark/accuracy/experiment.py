"""Run all arms in one folder, and resume them after interruptions"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pyannote.database import Protocol

from ...data.simulation import Simulation, TurnStatistics, simulate
from ...data.simulation.protocol import check_voices
from ...data.simulation.voices import find_voices
from ...files.atomic import remove_drafts, writing
from ...files.folders import Difference, claim, write_json
from ...files.locks import in_use
from ...files.moved_folders import is_moved
from ...segmentation.checkpoint import load_checkpoint
from ...version import __version__
from .arms import FULL, Arm, Scale
from .conversations import simulation_options, turn_statistics
from .diarization import WholeDiarization
from .long_conversations import long_simulations, write_long_conversations
from .out_of_domain import load_out_of_domain
from .parallel import run_in_parallel
from .score import error_rates, real_time_factors
from .training import describe, pretrain_arm, removed, train_arm

REQUEST, RESULT, RESULTS = "experiment.yml", "result.json", "results.json"

# scores of whole diarizations: an embedding may be given later
DIARIZATION = "diarization.json"


class Experiment:
    """Comparison of pruning after fine-tuning with its alternatives

    Parameters
    ----------
    voices : Path
        Recordings of single speakers (see `pyannote_prune.data.simulation`).
    output : Path
        Folder to write: new, or of an interrupted experiment, which is resumed.
    scale : Scale, optional
        Defaults to FULL.
    out_of_domain : tuple of (Path, str), optional
        `database.yml`, and name of a protocol whose development set is scored as well.
    speakers : {"apart", "shared"}, optional
        Whether training, development and test have different speakers: see `Simulation`. Where
        all of them are shared (six speakers, for instance), recordings are repeated, as when the
        published numbers were measured.
    test_speakers : sequence of str, optional
        Speakers for tests alone: see `Simulation`.
    diarization : WholeDiarization, optional
        Speaker embedding, and options of its clustering, to diarize longer conversations of the
        test speakers with. Models are not trained again if it is given later, or replaced. Defaults
        to none: clustering is given in all scores.
    """

    def __init__(
        self,
        voices: Path,
        output: Path,
        scale: Scale = FULL,
        out_of_domain: tuple[Path, str] | None = None,
        speakers: str | None = None,
        test_speakers: Sequence[str] = (),
        diarization: WholeDiarization | None = None,
    ):
        self.voices, self.scale = Path(voices), scale
        # recipes of arms, which name it, are in another folder than this process
        self.output = Path(output).absolute()
        self.out_of_domain = out_of_domain and (Path(out_of_domain[0]).resolve(), out_of_domain[1])
        self.speakers, self.test_speakers = speakers, tuple(sorted(test_speakers))
        self.diarization = diarization

    def __call__(
        self,
        num_jobs: int = 1,
        report: Callable[[Arm, dict[str, Any]], None] = lambda *_: None,
        groups: Collection[str] | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> dict[str, Any]:
        """Run the arms that are not finished

        Parameters
        ----------
        num_jobs : int, optional
            Number of arms that run in parallel, and share the cores.
        report : callable, optional
            Called with each arm and its result, once the arm is finished.
        groups : collection of str, optional
            Names of the groups of arms to run (see `Arm.group`), with the arms that they need.
            Defaults to all of them.
        say : callable, optional
            Called with sentences for users: see `simulate`.

        Returns
        -------
        results : dict
            Content of `results.json`.

        Raises
        ------
        RuntimeError
            If an arm fails: arms that do not need it are run first.
        ValueError
            If `output` belongs to another experiment, if a group does not exist, or if a recording
            of the other domain has no reference.
        OSError
            If the speaker embedding cannot be read.
        """
        arms = self.scale.arms(groups)
        if self.diarization:
            self.diarization.check()
            self.scale.arms(self.diarization.groups)
        if self.out_of_domain:
            self.load_out_of_domain()
        check_voices(self.voices, self.simulation)
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            say(line)

        with in_use(self.output), writing(self.output):
            claim(self.output, REQUEST, self.to_dict(), is_same=self._is_moved)
            remove_drafts(self.output)
            self.write_data(hear)
            self.write_long_conversations()
            return self._run(arms, num_jobs, report, said[0])

    def _run(
        self,
        arms: Sequence[Arm],
        num_jobs: int,
        report: Callable[[Arm, dict[str, Any]], None],
        speakers: str,
    ) -> dict[str, Any]:
        is_new = any(not self._is_trained(arm) for arm in arms)
        found = {arm: self.result(arm) for arm in arms}
        finished = {arm.name: result for arm, result in found.items() if result is not None}
        for arm in arms:
            if arm.name in finished:
                report(arm, finished[arm.name])
        results = run_in_parallel(self.run_arm, self.log_of, arms, num_jobs, report, finished)
        content = {
            "scale": self.scale.name,
            "version": __version__,
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}",
            "num_jobs": num_jobs,
            "speakers": speakers,
            "diarization": self.diarization and self.diarization.options,
            "seconds": sum(result["seconds"] for result in results.values()),
            "arms": [
                {
                    **asdict(arm),
                    "group": arm.group,
                    **removed(results[arm.name], results[arms[0].name]),
                    **results[arm.name],
                }
                for arm in arms
            ],
            "real_time_factors": self._real_time_factors(arms, is_new),
        }
        write_json(content, self.output / RESULTS)
        return content

    def to_dict(self) -> dict[str, Any]:
        """Convert options to plain values: results depend on them"""
        content = {
            "voices": str(self.voices.resolve()),
            "scale": asdict(self.scale),
            "out_of_domain": self.out_of_domain and [str(item) for item in self.out_of_domain],
            # nothing by default, as folders of release 0.1.0
            "speakers": self.speakers,
            "test_speakers": list(self.test_speakers) or None,
        }
        return json.loads(json.dumps(content))

    def folder(self, arm: Arm) -> Path:
        return self.output / "arms" / arm.name

    def write_data(self, say: Callable[[str], None] = lambda line: None) -> Path:
        """Simulate conversations, unless they are there

        Parameters
        ----------
        say : callable, optional
            See `simulate`.

        Returns
        -------
        database : Path
            `database.yml` of their protocol.
        """
        data = self.output / "data"
        return simulate(self.voices, data, self.simulation, self._turns, say=say)

    def write_long_conversations(self) -> list[dict[str, Any]]:
        """Simulate conversations for whole diarizations, unless they are there: see `diarization`

        Returns
        -------
        recordings : list of dict
            With references.
        """
        if self.diarization is None:
            return []
        options = long_simulations(self.scale, self.simulation, find_voices(self.voices))
        folder = self.output / "data" / "long"
        return write_long_conversations(self.voices, folder, options, self._turns)

    @property
    def _turns(self) -> TurnStatistics:
        return turn_statistics(self.scale)

    @property
    def simulation(self) -> Simulation:
        """Options of conversations"""
        return simulation_options(self.scale, self.voices, self.speakers, self.test_speakers)

    def _is_moved(self, difference: Difference) -> bool:
        here, there = difference.here, difference.there
        if difference.key == "out_of_domain" and isinstance(here, list) and isinstance(there, list):
            # file, and name of a protocol
            (here, *name), (there, *other) = here, there
            return name == other and (here == there or is_moved(here, there, self.output, REQUEST))
        return difference.key == "voices" and is_moved(here, there, self.output, REQUEST)

    def load_out_of_domain(self) -> Protocol:
        """Load the protocol of the other domain, and check its references"""
        assert self.out_of_domain is not None
        return load_out_of_domain(*self.out_of_domain)

    def log_of(self, arm: Arm) -> Path:
        """Locate the log of an arm"""
        return self.folder(arm).with_name(f"{arm.name}.log")

    def result(self, arm: Arm) -> dict[str, Any] | None:
        """Read the result of an arm: None if something is left to do"""
        if not self._is_trained(arm):
            return None
        result = read_json(self.folder(arm) / RESULT)
        if not self._is_diarized(arm):
            return result
        scores = self._whole_diarization(arm)
        return None if scores is None else {**result, "diarization": scores}

    def run_arm(self, arm: Arm) -> dict[str, Any]:
        """Train an arm, or resume its training, and score it, unless that was done

        Returns
        -------
        result : dict
            Content of its `result.json`, and "diarization", scores of whole diarizations.
        """
        if not self._is_trained(arm):
            self._train(arm)
        if self.result(arm) is None:
            self._diarize(arm)
        result = self.result(arm)
        assert result is not None  # nothing is left to do
        return result

    def _train(self, arm: Arm) -> None:
        """Train an arm, or resume its training, and score it where clustering is given"""
        folder, start = self.folder(arm), time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        database = self.write_data()
        if arm.method == "pretrained":
            path = pretrain_arm(arm, self.scale, database, folder)
            write_json(self._describe(path, start), folder / RESULT)
            return
        source = None if arm.needs is None else self._model(arm.needs)
        run = train_arm(arm, self.scale, database, folder, source)
        result = self._describe(run.final, start)
        pipeline = run.output / "pipeline"
        result["test"] = error_rates(pipeline, run.protocol.test())
        if self.out_of_domain and arm.method in ("dense", "gates"):
            protocol = self.load_out_of_domain()
            result["out_of_domain"] = error_rates(pipeline, protocol.development())
        write_json(result, folder / RESULT)

    def _is_trained(self, arm: Arm) -> bool:
        """Whether the model of an arm is there, with its scores where clustering is given"""
        return (self.folder(arm) / RESULT).is_file()

    def _is_diarized(self, arm: Arm) -> bool:
        """Whether an arm is scored by whole diarizations: all are that know what to do"""
        if self.diarization is None or arm.method == "pretrained":
            return False
        groups = self.diarization.groups
        return groups is None or arm.group in groups

    def _whole_diarization(self, arm: Arm) -> dict[str, Any] | None:
        """Read scores of whole diarizations with these options: None if there are none"""
        path = self.folder(arm) / DIARIZATION
        assert self.diarization is not None
        content = read_json(path) if path.is_file() else {}
        return content["scores"] if content.get("options") == self.diarization.options else None

    def _diarize(self, arm: Arm) -> None:
        assert self.diarization is not None
        start, recordings = time.monotonic(), self.write_long_conversations()
        scores = self.diarization(self._model(arm), recordings)
        content = {
            "options": self.diarization.options,
            "scores": {**scores, "seconds": time.monotonic() - start},
        }
        write_json(content, self.folder(arm) / DIARIZATION)

    def _describe(self, path: Path, start: float) -> dict[str, Any]:
        """Describe a model: path, cost, training time"""
        size = describe(path)
        seconds = time.monotonic() - start
        return {"model": str(path.relative_to(self.output)), **size, "seconds": seconds}

    def _model(self, arm: Arm) -> Path:
        """Locate the checkpoint of a finished arm"""
        return self.output / read_json(self.folder(arm) / RESULT)["model"]

    def _real_time_factors(self, arms: Sequence[Arm], is_new: bool) -> dict[str, float]:
        """Measure real-time factors of the first arm of each group

        All in turn, to be compared: one more model is a reason to measure all of them again.
        """
        first = {arm.group: arm for arm in reversed(arms)}
        path = self.output / RESULTS
        former = read_json(path)["real_time_factors"] if path.is_file() else {}
        if not is_new and former.keys() >= first.keys():
            return {group: former[group] for group in first}
        models = {group: load_checkpoint(self._model(arm)) for group, arm in first.items()}
        return real_time_factors(models, self.scale.duration)


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
