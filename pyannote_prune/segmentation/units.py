"""Units of a whole model, which gates can be attached to: those of WavLM, and those of the head"""

from __future__ import annotations

from collections.abc import Collection

from ..wavlm.units import UNITS, Unit

# gates start as those of WavLM do, with which they compete for one target
CONFORMER_NEURON = Unit("conformer_neuron", 0.5)
CONFORMER_HEAD = Unit("conformer_head", 0.01)
CONFORMER_CHANNEL = Unit("conformer_channel", 0.01)

HEAD_UNITS = {unit.name: unit for unit in (CONFORMER_NEURON, CONFORMER_HEAD, CONFORMER_CHANNEL)}
MODEL_UNITS = UNITS | HEAD_UNITS


def split_units(units: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split units into those of WavLM and those of the head

    Raises
    ------
    ValueError
        If a unit is unknown, or given twice.
    """
    names = set(units)
    if isinstance(units, str) or len(names) != len(units) or not names <= set(MODEL_UNITS):
        raise ValueError(
            f"`units` must be different names among {', '.join(map(repr, MODEL_UNITS))}, found "
            f"{units!r}."
        )
    of_wavlm = tuple(unit for unit in units if unit in UNITS)
    return of_wavlm, tuple(unit for unit in units if unit in HEAD_UNITS)


def refuse_head_units(units: Collection[str]) -> None:
    """Refuse units of the head for an encoder alone

    Raises
    ------
    ValueError
        If there are any.
    """
    found = () if isinstance(units, str) else [unit for unit in units if unit in HEAD_UNITS]
    if found:
        raise ValueError(
            f"`units` must be among {', '.join(map(repr, UNITS))} for WavLM alone, found "
            f"{', '.join(map(repr, found))}: they are in the head, give the whole "
            "`WavLMSegmentation`."
        )
