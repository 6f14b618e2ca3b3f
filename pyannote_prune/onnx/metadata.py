"""Metadata of ONNX files: what the model is, for this package and for other programs"""

from __future__ import annotations

import json

from ..segmentation.model import WavLMSegmentation
from ..segmentation.provenance import KEY as PROVENANCE
from ..segmentation.provenance import Provenance
from ..segmentation.specifications import (
    class_names,
    single_specifications,
    specifications_to_dict,
    with_plain_classes,
)
from ..version import __version__
from ..wavlm.cost import cost

# what sherpa-onnx calls models whose output has powerset classes, whatever their network is
MODEL_TYPE = "pyannote-segmentation-3.0"


def describe(model: WavLMSegmentation, dtype: str, provenance: Provenance) -> dict[str, str]:
    """Describe a model

    Parameters
    ----------
    model : WavLMSegmentation
    dtype : str
        See `save_onnx`.
    provenance : Provenance
        With the source and licence that were stated.

    Returns
    -------
    metadata : dict of str
        Ours: "pyannote_prune" (version), "dtype", "specifications" (JSON), "parameters" and
        "macs_per_second" (of WavLM), and, if they are known, "source", "licence", and all that is
        known of the provenance (JSON). The others are those that sherpa-onnx reads: lengths are in
        samples.
    """
    specifications = with_plain_classes(single_specifications(model))
    encoder = cost(model.wavlm)
    window = round(specifications.duration * model.hparams["sample_rate"])
    size = model.receptive_field_size(1)
    values = {
        "pyannote_prune": __version__,
        "dtype": dtype,
        "specifications": json.dumps(specifications_to_dict(specifications), allow_nan=False),
        "parameters": encoder.parameters,
        "macs_per_second": round(encoder.macs_per_second),
        "source": provenance.source,
        "licence": provenance.licence,
        "num_speakers": len(class_names(specifications)),
        "num_classes": model.dimension,
        "sample_rate": model.hparams["sample_rate"],
        "window_size": window,
        "window_shift": window // 10,
        "receptive_field_size": size,
        "receptive_field_shift": model.receptive_field_size(2) - size,
    }
    if specifications.powerset:
        values["model_type"] = MODEL_TYPE
        values["powerset_max_classes"] = specifications.powerset_max_classes
    # besides the two texts above
    known = provenance.to_dict()
    if known.keys() - {"source", "licence"}:
        values[PROVENANCE] = json.dumps(known, allow_nan=False)
    return {key: str(value) for key, value in values.items() if value is not None}
