"""Run all arms in one folder, and resume them after interruptions"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from pyannote.database import Protocol

from ...data.protocol import check_references, load_protocol, naming_subset
from ...data.protocol_files import reference_of
from ...data.simulation import Simulation, TurnStatistics, simulate
from ...data.simulation.protocol import assign_speakers, check_voices
from ...data.simulation.voices import find_voices
from ...files.atomic import remove_drafts, writing
from ...files.folders import Difference, claim, write_json, write_yaml
from ...files.locks import in_use
from ...files.moved_folders import is_moved
from ...files.schema import refuse
from ...recipe.config import Recipe
from ...recipe.run import RecipeRun
from ...segmentation.checkpoint import load_checkpoint, save_checkpoint
from ...wavlm.config import WavLMConfig
from ...wavlm.cost import cost
from .arms import FULL, Arm, Scale
from .magnitude import prune_by_magnitude
from .parallel import run_in_parallel
from .pretraining import pretrain
from .recipes import PROTOCOL, recipe
from .score import error_rates, real_time_factors

REQUEST, RESULT, RESULTS = "experiment.yml", "result.json", "results.json"


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
    """

    def __init__(
        self,
        voices: Path,
        output: Path,
        scale: Scale = FULL,
        out_of_domain: tuple[Path, str] | None = None,
        speakers: str | None = None,
        test_speakers: Sequence[str] = (),
    ):
        self.voices, self.output, self.scale = Path(voices), Path(output), scale
        self.out_of_domain = out_of_domain and (Path(out_of_domain[0]).resolve(), out_of_domain[1])
        self.speakers, self.test_speakers = speakers, tuple(sorted(test_speakers))

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
        """
        arms = self.scale.arms(groups)
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
            return self._run(arms, num_jobs, report, said[0])

    def _run(
        self,
        arms: Sequence[Arm],
        num_jobs: int,
        report: Callable[[Arm, dict[str, Any]], None],
        speakers: str,
    ) -> dict[str, Any]:
        results = run_in_parallel(self.run_arm, self.log_of, arms, num_jobs, report)
        largest = results[arms[0].name]
        content = {
            "scale": self.scale.name,
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}",
            "num_jobs": num_jobs,
            "speakers": speakers,
            "seconds": sum(result["seconds"] for result in results.values()),
            "arms": [
                {
                    **asdict(arm),
                    "group": arm.group,
                    "removed": 1 - results[arm.name]["parameters"] / largest["parameters"],
                    **results[arm.name],
                }
                for arm in arms
            ],
            "real_time_factors": self._real_time_factors(arms),
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
        # limited, so that windows of a few seconds have several turns
        statistics = TurnStatistics.default().limited(self.scale.duration)
        data = self.output / "data"
        return simulate(self.voices, data, self.simulation, statistics, say=say)

    @property
    def simulation(self) -> Simulation:
        """Options of conversations"""
        scale = self.scale
        options = Simulation(
            name=PROTOCOL.split(".")[0],
            num_train=scale.num_train,
            num_development=scale.num_development,
            num_test=scale.num_test,
            min_speakers=2,
            speeds=scale.speeds,
            snr=scale.snr,
            speakers=self.speakers,
            test_speakers=self.test_speakers,
        )
        shared = assign_speakers(find_voices(self.voices), options).speakers == "shared"
        return replace(options, repeat=shared and not self.test_speakers)

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
        database, name = self.out_of_domain
        protocol = load_protocol(database, name)
        check_references(protocol, "development")
        with naming_subset("development", name):
            for file in protocol.development():
                if reference_of(file) is None:
                    refuse("annotation", f"given for {file['uri']!r}", None)
        return protocol

    def log_of(self, arm: Arm) -> Path:
        """Locate the log of an arm"""
        return self.folder(arm).with_name(f"{arm.name}.log")

    def run_arm(self, arm: Arm) -> dict[str, Any]:
        """Train an arm, or resume its training, and score it

        Returns
        -------
        result : dict
            Content of its `result.json`.
        """
        folder = self.folder(arm)
        if (folder / RESULT).is_file():
            return json.loads((folder / RESULT).read_text(encoding="utf-8"))
        start = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        database = self.write_data()
        if arm.method == "pretrained":
            config = WavLMConfig.dense(**self.scale.wavlm)
            path = pretrain(config, self.scale, database, PROTOCOL, arm.seed, folder / "run")
            result = self._describe(path, start)
            write_json(result, folder / RESULT)
            return result
        content = recipe(arm, self.scale, database, **self._start(arm))
        path = folder.with_name(f"{arm.name}.yml")
        write_yaml(content, path)
        run = RecipeRun(Recipe.load(path), folder / "run")
        run()
        result = self._describe(run.final, start)
        pipeline = run.output / "pipeline"
        result["test"] = error_rates(pipeline, run.protocol.test())
        if self.out_of_domain and arm.method in ("dense", "gates"):
            protocol = self.load_out_of_domain()
            result["out_of_domain"] = error_rates(pipeline, protocol.development())
        write_json(result, folder / RESULT)
        return result

    def _describe(self, path: Path, start: float) -> dict[str, Any]:
        """Describe a model: path, cost, training time"""
        size = cost(load_checkpoint(path).wavlm)
        return {
            "model": str(path.relative_to(self.output)),
            "parameters": size.parameters,
            "macs_per_second": size.macs_per_second,
            "seconds": time.monotonic() - start,
        }

    def _model(self, arm: Arm) -> Path:
        """Locate the checkpoint of a finished arm"""
        return (
            self.output
            / json.loads((self.folder(arm) / RESULT).read_text(encoding="utf-8"))["model"]
        )

    def _start(self, arm: Arm) -> dict[str, Any]:
        """Make options of `recipe`: checkpoint to start from, or structure"""
        if arm.needs is None:
            return {}
        source = self._model(arm.needs)
        if arm.method == "scratch":
            return {"wavlm": load_checkpoint(source).wavlm.config}
        if arm.method != "magnitude":
            return {"checkpoint": source}
        path = self.folder(arm).with_name(f"{arm.name}.ckpt")
        save_checkpoint(prune_by_magnitude(load_checkpoint(source), arm.sparsity), path)
        return {"checkpoint": path}

    def _real_time_factors(self, arms: Sequence[Arm]) -> dict[str, float]:
        """Measure real-time factors of the first arm of each group"""
        first = {arm.group: arm for arm in reversed(arms)}
        models = {group: load_checkpoint(self._model(arm)) for group, arm in first.items()}
        return real_time_factors(models, self.scale.duration)
