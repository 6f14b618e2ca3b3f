"""Registration with pyannote.audio, as soon as it is imported

Importing pyannote.audio takes seconds, which commands that do not need it should not spend.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .data.default_databases import import_database

# module of pyannote.audio, name of our class, module that has it
CLASSES = {
    "pyannote.audio.models.segmentation": ("WavLMSegmentation", "pyannote_prune.segmentation"),
    "pyannote.audio.tasks": ("DistillationPruning", "pyannote_prune.pruning.task"),
}


def register():
    """Make our classes available where pyannote.audio has its own, now or once it is imported"""
    for name in CLASSES:
        if name in sys.modules:
            _add(sys.modules[name])
    if not any(isinstance(finder, _AddWhenImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AddWhenImported())


class _AddWhenImported(MetaPathFinder):
    """Find modules of `CLASSES` as usual, and add our class once they are executed"""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        if fullname == "pyannote.audio" and "pyannote.database" not in sys.modules:
            import_database()  # whatever the default databases hold
        if fullname not in CLASSES:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_then_add(module: ModuleType):
                execute(module)
                _add(module)

            spec.loader.exec_module = execute_then_add  # type: ignore[method-assign]
        return spec


def _add(module: ModuleType):
    """Add the name of our class, which is imported when it is first asked for (PEP 562)

    At this point, pyannote.audio itself may be half imported.
    """
    ours, source = CLASSES[module.__name__]

    def find(name: str) -> Any:
        if name != ours:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return getattr(import_module(source), ours)

    module.__getattr__ = find  # type: ignore[method-assign]
    if ours not in module.__all__:
        module.__all__.append(ours)
