"""Files of a release, for tests of later ones: run once, with that release, and never again

In the folder of this file, with a working tree of the release (`git worktree add release COMMIT`):
PYTHONPATH=release:release/tests python write.py 0.1.0 a-scratch-folder

The path of the scratch folder in `recipe/recipe.yml` then becomes /somewhere/else, and what a
finished stage does not need any more (checkpoints, logs) is removed.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from conversations import generate_conversations
from helpers import CONFORMER, tiny_config, tiny_model
from pyannote.audio import Pipeline
from pyannote.audio.sample import SAMPLE_FILE

from pyannote_prune import DistillationPruning, export_pipeline, gate, save_checkpoint
from pyannote_prune.pipeline.settings import ORACLE_SETTINGS
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.run import RecipeRun

STAGE = {"batch_size": 4, "average": 1, "max_steps_per_epoch": 2}


class Interrupted(Exception):
    """As Ctrl-C would be"""


def write_recipe(folder: Path, scratch: Path):
    """Recipe interrupted in the second epoch of its second stage"""
    recipe = {
        "protocol": "Generated.SpeakerDiarization.Mini",
        "database": str(generate_conversations(scratch)),
        "wavlm": tiny_config().to_dict(),
        "conformer": CONFORMER,
        "duration": 2.0,
        "max_speakers_per_chunk": 3,
        "num_workers": 0,
        "pruning": {"target_sparsity": 0.5},
        "stages": {
            "fine_tune": {"max_epochs": 1, **STAGE},
            "prune": {"max_epochs": 3, "warm_up_epochs": 1, "gate_learning_rate": 0.1, **STAGE},
            "distil": {"max_epochs": 1, **STAGE},
            "train": {"max_epochs": 1, **STAGE},
        },
        "trainer": {"accelerator": "cpu", "devices": 1},
        "export": {"oracle_clustering": True},
    }
    steps, training_step = [], DistillationPruning.training_step

    def interrupted(self, batch, batch_idx):
        steps.append(batch_idx)
        if len(steps) == 4:
            raise Interrupted
        return training_step(self, batch, batch_idx)

    DistillationPruning.training_step = interrupted
    try:
        RecipeRun(Recipe.from_dict(recipe), folder)()
    except Interrupted:
        return
    raise RuntimeError("The recipe was not interrupted.")


def main(version: str, scratch: Path):
    folder = Path(__file__).parent / version
    folder.mkdir()
    torch.manual_seed(0)
    model = tiny_model()
    with torch.no_grad():
        # sure of itself: it hears several speakers
        model.classifier.weight *= 30
    gated = gate(model)
    for name, parameter in gated.named_parameters():
        if name.endswith("log_alpha"):
            parameter.data.normal_(0, 3)
    waveforms = 0.1 * torch.randn(2, 1, 8000)
    save_checkpoint(model, folder / "tiny.ckpt")
    save_checkpoint(model, folder / "tiny.safetensors")
    save_checkpoint(gated, folder / "gated.ckpt")
    export_pipeline(model, folder / "pipeline", settings=ORACLE_SETTINGS)
    with torch.inference_mode():
        scores = {"tiny": model(waveforms).numpy(), "gated": gated(waveforms).numpy()}
    np.savez(folder / "outputs.npz", waveforms=waveforms.numpy(), **scores)
    output = Pipeline.from_pretrained(folder / "pipeline")(dict(SAMPLE_FILE))
    with (folder / "sample.rttm").open("w") as file:
        output.speaker_diarization.write_rttm(file)
    write_recipe(folder / "recipe", scratch)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
