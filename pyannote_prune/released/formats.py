"""Return type of the functions that open sources, one for each format"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..pipeline.settings import DiarizationSettings
from ..segmentation.model import WavLMSegmentation


@dataclass(frozen=True)
class Source:
    """Segmentation model that was found, and its use in a pipeline

    Nothing is loaded until it is called for: a model whose settings are not supported can be
    loaded all the same.

    Parameters
    ----------
    load_model : callable
        Returns the model, a `WavLMSegmentation` in evaluation mode. From WavLM alone, its head is
        untrained, and it has no specifications.
    load_settings : callable, optional
        Returns the `DiarizationSettings` for `export_pipeline`. Defaults to default settings.
    find_plda : callable, optional
        Returns the folder of the PLDA of the source, or None. Defaults to none.
    parts : str or Path, optional
        Pipeline whose speaker embedding the source comes with: see `export_pipeline`. Defaults to
        none.
    packages : dict of str, optional
        Packages, and their versions, that have the class of that embedding. Defaults to none.
    """

    load_model: Callable[[], WavLMSegmentation]
    load_settings: Callable[[], DiarizationSettings] = DiarizationSettings
    find_plda: Callable[[], Path | None] = lambda: None
    parts: str | Path | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
