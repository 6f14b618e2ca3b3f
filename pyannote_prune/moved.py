"""Former import paths, of release 0.1.0 on, kept until 0.3: each warns and names the present one"""

from __future__ import annotations

import sys
import warnings
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = __name__.partition(".")[0]

# former module, and the modules that have its names now
MOVED = {
    "benchmark.speed.diarization": ("benchmark.diarization.speed",),
    "callbacks": ("training.average", "training.best_checkpoints", "training.clipping"),
    "checkpoint": ("segmentation.checkpoint", "files.pickles"),
    "convert": ("released.source",),
    "corpora": ("data.corpora",),
    "diarizen": ("released.diarizen",),
    "distillation": ("pruning.distillation",),
    "embedding": ("pipeline.embedding",),
    "export": ("pipeline.export",),
    "figures": ("recipe.structure_figure", "recipe.training_figure"),
    "gates": ("wavlm.gates",),
    "quickstart": ("recipe.quickstart",),
    "recipe_config": ("recipe.config",),
    "report": ("segmentation.tables", "cli.tables"),
    "settings": ("pipeline.settings",),
    "sparsity": ("pruning.sparsity", "pruning.selection"),
    "specifications": ("segmentation.specifications",),
    "speed": ("benchmark.speed",),
    "task": ("pruning.task",),
}


class MovedModules(MetaPathFinder, Loader):
    """Find modules of `MOVED`, where there is no file of that name"""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package == PACKAGE and name in MOVED:
            return ModuleSpec(fullname, self)
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        return None  # an ordinary module

    def exec_module(self, module: ModuleType):
        # called for names that the module lacks (PEP 562), hence for each import from it
        module.__getattr__ = partial(_find, module.__name__)  # type: ignore[method-assign]


def _find(former: str, name: str) -> Any:
    if not name.startswith("__"):
        for path in MOVED[former.partition(".")[2]]:
            module = import_module(f"{PACKAGE}.{path}")
            if hasattr(module, name):
                warnings.warn(
                    f"{former}.{name} is now {module.__name__}.{name}: the former path will be "
                    "removed in release 0.3.",
                    DeprecationWarning,
                    stacklevel=2,
                )
                return getattr(module, name)
    raise AttributeError(f"module {former!r} has no attribute {name!r}")


def keep_former_paths():
    """Let former import paths work"""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
