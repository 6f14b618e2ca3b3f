"""Recipes: one that takes seconds, and minimal ones, without files"""

from pathlib import Path

from conversations import generate_conversations, made_once
from helpers import CONFORMER, tiny_config

from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.run import RecipeRun

MINIMAL = {
    "protocol": "X.SpeakerDiarization.Compound",
    "database": "database.yml",
    "wavlm": "microsoft/wavlm-base-plus",
}
STAGES = ("1-fine-tune", "2-prune", "3-distil", "4-train")


def tiny_recipe(database: Path, **pruning) -> dict:
    stage = {"batch_size": 8, "average": 2}
    return {
        "protocol": "Generated.SpeakerDiarization.Mini",
        "database": str(database),
        "wavlm": tiny_config().to_dict(),
        "conformer": CONFORMER,
        "duration": 2.0,
        "max_speakers_per_chunk": 3,
        "num_workers": 0,
        # reading each window from its file would take as long as the training
        "in_memory": True,
        "pruning": {"target_sparsity": 0.5, **pruning},
        "stages": {
            "fine_tune": {"max_epochs": 2, "wavlm_learning_rate": 1e-3, **stage},
            "prune": {"max_epochs": 3, "warm_up_epochs": 1, "gate_learning_rate": 0.1, **stage},
            "distil": {"max_epochs": 2, **stage},
            "train": {"max_epochs": 2, "wavlm_learning_rate": 1e-3, **stage},
        },
        "trainer": {"accelerator": "cpu", "devices": 1},
        "export": {"oracle_clustering": True},
    }


def conversations_of_all_tests(tmp_path_factory) -> Path:
    """`database.yml` of generated conversations, made once for all test processes"""
    folder = made_once(tmp_path_factory, "generated-conversations", generate_conversations)
    return folder / "database.yml"


def finished_recipe(tmp_path_factory) -> Path:
    """Folder of an undisturbed run of the recipe on these, not to be changed"""
    data = conversations_of_all_tests(tmp_path_factory)

    def train(folder: Path):
        RecipeRun(Recipe.from_dict(tiny_recipe(data)), folder)()

    return made_once(tmp_path_factory, "finished-recipe", train)


def from_dict(change: dict | None = None, **options) -> Recipe:
    """Minimal recipe with changes, none of whose files exists"""
    return Recipe.from_dict(MINIMAL | (change or {}), **{"check_files": False} | options)


def nested(key: str, value) -> dict:
    """Dictionary of dictionaries

    >>> nested("a.b", 1)
    {'a': {'b': 1}}
    """
    for name in reversed(key.split(".")):
        value = {name: value}
    return value
