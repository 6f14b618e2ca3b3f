"""Run all stages once, on the sample conversation of pyannote.audio"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pyannote.audio import Pipeline
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.metrics.diarization import DiarizationErrorRate

from ..data.write import Reference, write_protocol
from ..files.atomic import DRAFT, remove_drafts_of, writing
from ..files.folders import check_new, write_yaml
from ..files.locks import in_use
from ..pipeline.export import export_pipeline
from ..pipeline.settings import ORACLE_SETTINGS
from ..segmentation.checkpoint import load_checkpoint
from ..wavlm.config import WavLMConfig
from ..wavlm.cost import Cost, cost
from .config import Recipe
from .run import MODEL, RecipeRun

SAMPLE = cast(Mapping[str, Any], SAMPLE_FILE)

# copies of the conversation: with a single one, an epoch would be a single step
NUM_COPIES = 8
PROTOCOL = "Sample.SpeakerDiarization.Quickstart"


@dataclass(frozen=True)
class Score:
    """Cost, speed and accuracy of a pipeline on the conversation

    Parameters
    ----------
    size : Cost
        Cost of its WavLM.
    sparsity : float
        Fraction of the parameters of the dense WavLM that were removed.
    real_time_factor : float
        Processing time over duration.
    diarization_error_rate : float
        Without collar, including overlapping speech, as a fraction.
    """

    size: Cost
    sparsity: float
    real_time_factor: float
    diarization_error_rate: float


def small_wavlm() -> WavLMConfig:
    """Make the structure of a small WavLM: half a million parameters, trained in a minute"""
    return WavLMConfig.preset("tiny")


def small_recipe(num_epochs: float = 1.0, seed: int | None = None) -> dict[str, Any]:
    """Make a recipe that is short enough for a demonstration

    Learning rates are larger than in the paper: WavLM is not pretrained, and there are a few
    hundred steps instead of many thousands.

    Parameters
    ----------
    num_epochs : float, optional
        Factor of the number of epochs. Defaults to 1: about three minutes on two cores.
    seed : int, optional
        Random seed. Defaults to the default of recipes.
    """

    def epochs(number: int) -> int:
        return max(2, round(number * num_epochs))

    diarization = {"batch_size": 8, "average": 2, "patience": None, "wavlm_learning_rate": 1e-3}
    distillation = {"batch_size": 8, "average": 2, "patience": None, "learning_rate": 1e-3}
    return {
        "protocol": PROTOCOL,
        "database": "data/database.yml",
        "wavlm": {"preset": "tiny"},
        "conformer": {"input_dim": 64, "ffn_dim": 128, "num_layers": 1},
        **({} if seed is None else {"seed": seed}),
        "duration": 5.0,
        "max_speakers_per_chunk": 3,
        "num_workers": 0,
        "in_memory": True,
        "pruning": {"target_sparsity": 0.8},
        "stages": {
            "fine_tune": {"max_epochs": epochs(22), **diarization},
            "prune": {
                "max_epochs": epochs(14),
                # in few steps, gates must move fast, and multipliers slowly enough not to overshoot
                "warm_up_epochs": epochs(5) - 1,
                "gate_learning_rate": 0.2,
                "multiplier_learning_rate": 0.06,
                **distillation,
            },
            "distil": {"max_epochs": epochs(4), **distillation},
            "train": {"max_epochs": epochs(10), **diarization},
        },
        "trainer": {"accelerator": "cpu", "devices": 1},
        "export": {"oracle_clustering": True},
    }


def quickstart(
    output: Path, num_epochs: float | None = None, seed: int | None = None
) -> tuple[Score, Score]:
    """Fine-tune, prune, distil, train, export, and diarize

    Parameters
    ----------
    output : Path
        Folder to write: data, `recipe.yml`, and `run`, the folder of the recipe. Must not exist, be
        empty, or come from an interrupted quickstart, which is resumed.
    num_epochs : float, optional
        Factor of the number of epochs. Defaults to 1, or to the factor of the resumed quickstart.
    seed : int, optional
        Random seed. Defaults to the default of recipes, or to the seed of the resumed quickstart.

    Returns
    -------
    before, after : Score
        Scores of a pipeline with the fine-tuned model, and with the pruned model.

    Raises
    ------
    ValueError
        If `output` holds anything else, including a quickstart with another seed or other numbers
        of epochs.
    """
    with in_use(output):
        run = RecipeRun(_claim(output, num_epochs, seed), output / "run")
        run()
        teacher = load_checkpoint(run.folder("fine_tune") / MODEL)
        with tempfile.TemporaryDirectory() as folder:
            before = export_pipeline(teacher, Path(folder) / "pipeline", settings=ORACLE_SETTINGS)
            reference = cost(teacher.wavlm)
            return score(before, reference), score(output / "run" / "pipeline", reference)


def _claim(output: Path, num_epochs: float | None, seed: int | None) -> Recipe:
    """Write data and recipe, unless they are there"""
    path = output / "recipe.yml"
    if not path.is_file():
        data, draft = output / "data", output / f".data{DRAFT}"
        remove_drafts_of(data)
        remove_drafts_of(path)
        if not data.is_dir():
            check_new(output, "output")
            with writing(data, draft):
                write_data(draft)
            draft.rename(data)
        write_yaml(small_recipe(1.0 if num_epochs is None else num_epochs, seed), path)
    recipe = Recipe.load(path)
    if seed not in (None, recipe.seed):
        raise ValueError(
            f"`seed` must be {recipe.seed}, as in the quickstart of {str(output)!r}, found {seed}: "
            "choose another folder."
        )
    if num_epochs is not None:
        _check_epochs(recipe, num_epochs, output)
    return recipe


def _check_epochs(recipe: Recipe, num_epochs: float, output: Path):
    """Check that the resumed recipe has the requested numbers of epochs"""
    for name, stage in small_recipe(num_epochs)["stages"].items():
        found, asked = getattr(recipe.stages, name).max_epochs, stage["max_epochs"]
        if found != asked:
            raise ValueError(
                f"`num_epochs` must be as in the quickstart of {str(output)!r} ({found} epochs of "
                f"{name}), found {num_epochs:g} ({asked} epochs): choose another folder."
            )


def write_data(folder: Path):
    """Write the conversation as a protocol, for training and for development

    Parameters
    ----------
    folder : Path
        Folder to write. Its `database.yml` defines "Sample.SpeakerDiarization.Quickstart".
    """
    folder.mkdir(parents=True)
    reference = Reference.of(SAMPLE["annotation"], SAMPLE["annotated"])
    subsets = {"train": [f"copy{i}" for i in range(NUM_COPIES)], "development": ["sample"]}
    for uri in itertools.chain(*subsets.values()):
        shutil.copyfile(SAMPLE["audio"], folder / f"{uri}.wav")
    write_protocol(
        folder,
        PROTOCOL,
        {subset: dict.fromkeys(uris, reference) for subset, uris in subsets.items()},
    )


def score(folder: Path, dense: Cost) -> Score:
    """Load a pipeline from its folder, diarize the conversation, and score the result

    Parameters
    ----------
    folder : Path
    dense : Cost
        Cost of the dense encoder.
    """
    pipeline: Any = Pipeline.from_pretrained(folder)
    pipeline(dict(SAMPLE))  # the first run is slower than the next ones
    start = time.perf_counter()
    output = pipeline(dict(SAMPLE))
    elapsed = time.perf_counter() - start
    reference, annotated = SAMPLE["annotation"], SAMPLE["annotated"]
    error_rate = DiarizationErrorRate()(reference, output.speaker_diarization, uem=annotated)
    size = cost(load_checkpoint(folder / "segmentation" / "pytorch_model.bin").wavlm)
    return Score(
        size=size,
        sparsity=1 - size.parameters / dense.parameters,
        real_time_factor=elapsed / annotated.duration(),
        diarization_error_rate=error_rate,
    )
