"""Which units stay, when an encoder must have a given cost"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ..wavlm.cost import cost
from ..wavlm.encoder import WavLM
from ..wavlm.gates import gates_of
from ..wavlm.gating import pruned_config

# index of its gates among those of the encoder, index among these gates
Unit = tuple[int, int]


def select_units(wavlm: WavLM, target: float, count: str) -> list[Tensor]:
    """Choose the units that stay: a knapsack, of what gates are worth at what units cost

    A gate of value v is worth v / (1 - v): the logarithm of these odds is what training moves
    (`log_alpha`), for as long as a unit brings more than it costs.

    The choice starts from the units that are open in evaluation mode. When they cost too much, some
    are closed, those of the lowest worth per cost first, until the next one would pass the target.
    That one is either passed over, and smaller ones fill what remains of the gap, or it is closed,
    and others are opened again: whichever keeps the larger sum. When they cost too little, units
    are opened likewise, those of the highest worth per cost first.

    Parameters
    ----------
    wavlm : WavLM
        With gates. Left as it was.
    target : float
        What the pruned encoder must cost.
    count : {"parameters", "macs_per_second"}
        What cost counts.

    Returns
    -------
    is_open : list of (num_gates,) torch.Tensor
        Booleans, in the order in which `gates_of` returns gates.
    """
    selection = _Selection(wavlm, target, count)
    closing = selection.cost() > target
    # once a block is open, so can be its units
    while order := selection.order(closing):
        toggled = selection.approach(order, closing)
        if toggled < len(order):
            break
    if not order or selection.gap() < selection.smallest_price():
        return selection.is_open()

    start, large = selection.is_open(), order[toggled]
    selection.fill(order[toggled:], closing)
    filled = selection.is_open(), selection.total_worth()
    selection.restore(start)
    selection.toggle([large])
    # others of its kind and layer are worth less, or more, and cost as much
    back = [unit for unit in selection.order(not closing) if unit[0] != large[0]]
    selection.fill(back, not closing)
    passed = selection.is_open(), selection.total_worth()
    return max(filled, passed, key=lambda item: item[1])[0]


class _Selection:
    """Copy of a gated encoder whose gates are at 0 or at 1"""

    def __init__(self, wavlm: WavLM, target: float, count: str):
        self.target, self.count = target, count
        self.worth = [_odds(gates.soft_values().detach()) for gates in gates_of(wavlm)]
        self.wavlm = copy.deepcopy(wavlm)
        self.gates = gates_of(self.wavlm)
        for gates in self.gates:
            is_open = torch.zeros_like(gates.log_alpha, dtype=torch.bool)
            is_open[gates.kept()] = True
            gates.settle(is_open)

    def cost(self) -> int:
        return getattr(cost(pruned_config(self.wavlm)), self.count)

    def gap(self) -> float:
        return abs(self.cost() - self.target)

    def smallest_price(self) -> int:
        """Smallest cost of a unit that can be opened or closed"""
        prices = (
            self.price([unit])
            for units in self.units(True) + self.units(False)
            for unit in units[:1]
        )
        return min((price for price in prices if price), default=0)

    def total_worth(self) -> float:
        """Sum over open gates"""
        pairs = zip(self.worth, self.is_open(), strict=True)
        return sum(worth[is_open].sum().item() for worth, is_open in pairs)

    def is_open(self) -> list[Tensor]:
        return [gates.log_alpha > 0 for gates in self.gates]

    def restore(self, is_open: list[Tensor]):
        for gates, mask in zip(self.gates, is_open, strict=True):
            gates.settle(mask)

    def toggle(self, units: list[Unit]):
        """Open units that are closed, and close those that are open"""
        chosen: dict[int, list[int]] = {}
        for group, index in units:
            chosen.setdefault(group, []).append(index)
        for group, indices in chosen.items():
            is_open = self.gates[group].log_alpha > 0
            is_open[indices] = ~is_open[indices]
            self.gates[group].settle(is_open)

    def cost_after(self, units: list[Unit]) -> int:
        """Cost once units are toggled"""
        self.toggle(units)
        found = self.cost()
        self.toggle(units)
        return found

    def fits(self, units: list[Unit], closing: bool) -> bool:
        """Whether the target is not passed once units are toggled"""
        found = self.cost_after(units)
        return found >= self.target if closing else found <= self.target

    def price(self, units: list[Unit]) -> int:
        """Cost that toggling units frees, or takes"""
        return abs(self.cost_after(units) - self.cost())

    def units(self, closing: bool) -> list[list[Unit]]:
        """Units that can be closed (or opened), by gates"""
        found = []
        for group, (gates, worth) in enumerate(zip(self.gates, self.worth, strict=True)):
            can = (gates.log_alpha > 0) == closing
            if closing:
                can[worth.topk(gates.min_open).indices] = False
            found.append([(group, index) for index in can.nonzero().flatten().tolist()])
        return found

    def order(self, closing: bool) -> list[Unit]:
        """Units that can be closed (or opened), by worth per cost"""
        found = []
        for units in self.units(closing):
            # units of a block that is closed cost nothing
            if units and (price := self.price(units[:1])):
                worth = self.worth[units[0][0]].tolist()
                found += [(worth[index] / price, (group, index)) for group, index in units]
        found.sort(key=lambda item: item[0], reverse=not closing)
        return [unit for _, unit in found]

    def approach(self, order: list[Unit], closing: bool) -> int:
        """Toggle as many of the first units as fit, and return their number"""
        low, high = 0, len(order)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.fits(order[:middle], closing)
            low, high = (middle, high) if fits else (low, middle - 1)
        self.toggle(order[:low])
        return low

    def fill(self, order: list[Unit], closing: bool):
        """Toggle units that fit, one after the other"""
        too_large: set[int] = set()
        for group, unit in order:
            if group in too_large:
                continue
            if self.fits([(group, unit)], closing):
                self.toggle([(group, unit)])
            else:
                too_large.add(group)


def _odds(values: Tensor) -> Tensor:
    return values / (1 - values).clamp(min=1e-6)
