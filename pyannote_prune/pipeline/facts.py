"""Facts about a segmentation model, which a card claims and `check` measures again"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from pyannote.audio.core.model import Model

from ..files.schema import rule
from ..onnx.model import ONNXSegmentation
from ..segmentation.model import WavLMSegmentation
from ..segmentation.provenance import KEY as PROVENANCE
from ..segmentation.provenance import Provenance, dense_parameters
from ..segmentation.specifications import class_names, single_specifications
from ..wavlm.cost import cost

# digits of sparsity, as a fraction
DIGITS = 4


@dataclass(frozen=True)
class Facts:
    """Size, window, classes and provenance of a segmentation model

    Parameters
    ----------
    parameters, macs_per_second : int
        Cost of WavLM: parameters, and multiply-accumulate operations per second of audio.
    duration : float
        Length of its windows, in seconds.
    speakers, classes : int
        Number of speakers in a window, and of outputs.
    sparsity : float, optional
        Fraction of the parameters of WavLM that were removed. Defaults to one that is not known.
    provenance : Provenance, optional
    """

    parameters: int = rule(minimum=0)
    macs_per_second: int = rule(minimum=0)
    duration: float = rule(above=0)
    speakers: int = rule(minimum=1)
    classes: int = rule(minimum=1)
    sparsity: float | None = rule(None, maximum=1)
    provenance: Provenance = field(default_factory=Provenance)

    def to_dict(self) -> dict[str, Any]:
        """Convert values that are known to plain ones"""
        plain = asdict(self) | {"provenance": self.provenance.to_dict()}
        return {key: value for key, value in plain.items() if value not in (None, {})}


def facts_of(model: Model) -> Facts:
    """Measure a segmentation model, or read the metadata of its ONNX file

    Parameters
    ----------
    model : WavLMSegmentation or ONNXSegmentation
        With specifications.

    Raises
    ------
    ValueError
        If it is another model, or if metadata are missing or impossible.
    """
    if isinstance(model, WavLMSegmentation):
        size, known = cost(model.wavlm), model.provenance
        dense = known.dense_parameters or dense_parameters(model.wavlm.config)
        parameters, macs_per_second = size.parameters, round(size.macs_per_second)
    elif isinstance(model, ONNXSegmentation):
        try:
            parameters, macs_per_second = (
                int(model.metadata[key]) for key in ("parameters", "macs_per_second")
            )
            known = Provenance.from_dict(json.loads(model.metadata.get(PROVENANCE, "null")))
        except (KeyError, ValueError, RecursionError) as error:
            raise ValueError(
                f"{str(model.path)!r} must have metadata of `save_onnx`, found others ({error})."
            ) from error
        dense = known.dense_parameters
    else:
        raise ValueError(
            "The segmentation model must be a WavLMSegmentation or its ONNX file, found "
            f"{type(model).__name__}: pyannote-prune checks its own models."
        )
    specifications = single_specifications(model)
    return Facts(
        parameters=parameters,
        macs_per_second=macs_per_second,
        duration=float(specifications.duration),
        speakers=len(class_names(specifications)),
        classes=model.dimension,
        sparsity=None if dense is None else round(1 - parameters / dense, DIGITS),
        provenance=known,
    )
