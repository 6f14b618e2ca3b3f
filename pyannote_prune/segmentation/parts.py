"""Make a model with another encoder, or another Conformer"""

from __future__ import annotations

from dataclasses import replace

from torchaudio.models import Conformer

from ..wavlm.encoder import WavLM
from .conformer import LAYERS, PrunableConformer
from .contents import without_task_modules
from .model import WavLMSegmentation
from .specifications import has_specifications


def with_parts(
    model: WavLMSegmentation,
    wavlm: WavLM | None = None,
    conformer: Conformer | PrunableConformer | None = None,
    **learning_rates: float,
) -> WavLMSegmentation:
    """Make a model with other parts, and everything else of a first model, but for its task

    Parameters
    ----------
    model : WavLMSegmentation
        Not modified.
    wavlm : WavLM, optional
        Encoder, whose weights are copied. Defaults to that of `model`.
    conformer : Conformer or PrunableConformer, optional
        Conformer, whose weights are copied. Defaults to that of `model`, if it has one.
    **learning_rates : float, optional
        `learning_rate` and `wavlm_learning_rate` of the new model. Default to the rates of `model`.
    """
    wavlm = model.wavlm if wavlm is None else wavlm
    head, head_units = model.head, model.head_units
    others = ("wavlm",) if conformer is None else ("wavlm", "conformer")
    weights = {
        key: value
        for key, value in without_task_modules(model.state_dict()).items()
        if key.split(".", 1)[0] not in others
    }
    if conformer is not None:
        is_ours = isinstance(conformer, PrunableConformer)
        dense = {key: value for key, value in head.conformer.items() if key != LAYERS}
        head = replace(head, conformer=conformer.options if is_ours else dense)
        head_units = conformer.units if is_ours else ()
        weights |= {f"conformer.{key}": value for key, value in conformer.state_dict().items()}
    weights |= {f"wavlm.{key}": value for key, value in wavlm.state_dict().items()}

    hparams = {k: v for k, v in model.hparams.items() if k not in ("conformer", "head")}
    hparams |= {"wavlm": wavlm.config.to_dict(), "units": (*wavlm.units, *head_units)}
    new = type(model)(**(hparams | head.to_hparams() | learning_rates))
    if has_specifications(model):
        new.specifications = model.specifications
        new.setup()
    new.to(next(model.parameters()))  # same device, same precision
    new.load_state_dict(weights)
    new.provenance = model.provenance.trained(None)  # without the scores of `model`
    return new.train(model.training)
