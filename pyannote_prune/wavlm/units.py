"""Units of pruning, which gates can be attached to"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .config import WavLMConfig
from .gates import HardConcrete


@dataclass(frozen=True)
class Unit:
    """Kind of unit

    Parameters
    ----------
    name : str
    drop_rate : float
        Initial probability of a gate being closed (as in DPHuBERT).
    min_open : int, optional
        Number of gates of each module that are never closed. Defaults to 0.
    """

    name: str
    drop_rate: float
    min_open: int = 0

    def gates(self, num_units: int, units: Collection[str]) -> HardConcrete | None:
        """Make the gates of a module, if this kind is among `units`

        Parameters
        ----------
        num_units : int
            Number of units of the module.
        units : collection of str
            Kinds of units that have gates.
        """
        if self.name not in units:
            return None
        return HardConcrete(num_units, self.drop_rate, self.min_open)


# without any channel, features would not depend on the waveform
CHANNEL = Unit("channel", 0.01, min_open=1)
HEAD = Unit("head", 0.01)
NEURON = Unit("neuron", 0.5)
# whole blocks
ATTENTION = Unit("attention", 0.01)
FEED_FORWARD = Unit("feed_forward", 0.01)

UNITS = {unit.name: unit for unit in (CHANNEL, HEAD, NEURON, ATTENTION, FEED_FORWARD)}


def check_units(units: Collection[str], config: WavLMConfig) -> None:
    """Refuse units that do not exist, or that are not in the encoder"""
    if isinstance(units, str) or len(set(units)) != len(units) or not set(units) <= set(UNITS):
        raise ValueError(
            f"`units` must be different names among {', '.join(map(repr, UNITS))}, found {units!r}."
        )
    has_attention = any(layer.heads for layer in config.layers)
    has_feed_forward = any(layer.neurons for layer in config.layers)
    none_left = [] if has_attention else [HEAD.name, ATTENTION.name]
    none_left += [] if has_feed_forward else [NEURON.name, FEED_FORWARD.name]
    if units and set(units) <= set(none_left):
        raise ValueError(
            f"`units` must leave something to prune, found {tuple(units)!r}: this encoder has none "
            "of them left."
        )
