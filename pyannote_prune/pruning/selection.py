"""Choose the units of an encoder, or of a model, that stay, at a given cost"""

from __future__ import annotations

import torch
from torch import Tensor

from ..segmentation.model import WavLMSegmentation
from ..wavlm.encoder import WavLM
from ..wavlm.gates import gates_of
from .scope import copy_gates, cost_once_pruned

# index of its gates in `gates_of(gated)`, index within these gates
Unit = tuple[int, int]


def select_units(gated: WavLM | WavLMSegmentation, target: float, count: str) -> list[Tensor]:
    """Choose the units that stay: a knapsack problem, solved greedily

    The worth of a gate of value v is v / (1 - v): training moves the logarithm of these odds
    (`log_alpha`) up as long as the unit brings more than it costs.

    The choice starts from the units that are open in evaluation mode. When they cost too much,
    units are closed by increasing worth per cost, until the next one would pass the target. There
    are then two candidates: skip that unit, and close smaller ones to fill the gap; or close it,
    and open others again. The candidate of larger total worth is chosen. When open units cost too
    little, units are opened in the same way, by decreasing worth per cost.

    Parameters
    ----------
    gated : WavLM or WavLMSegmentation
        With gates. Not modified.
    target : float
        Cost to reach, of the pruned encoder, or of the whole pruned model.
    count : {"parameters", "macs_per_second"}
        Field of `Cost`.

    Returns
    -------
    is_open : list of (num_gates,) torch.Tensor
        Booleans, in the order in which `gates_of` returns gates.
    """
    selection = _Selection(gated, target, count)
    closing = selection.cost() > target
    # units can be opened once their block is
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
    # not units of the same kind and layer, which cost as much
    back = [unit for unit in selection.order(not closing) if unit[0] != large[0]]
    selection.fill(back, not closing)
    passed = selection.is_open(), selection.total_worth()
    return max(filled, passed, key=lambda item: item[1])[0]


class _Selection:
    """Copy of what has gates, which are then at 0 or at 1, whose units are opened and closed"""

    def __init__(self, gated: WavLM | WavLMSegmentation, target: float, count: str):
        self.target, self.count = target, count
        self.worth = [_odds(gates.soft_values().detach()) for gates in gates_of(gated)]
        self.gated = copy_gates(gated)
        self.gates = gates_of(self.gated)
        for gates in self.gates:
            is_open = torch.zeros_like(gates.log_alpha, dtype=torch.bool)
            is_open[gates.kept()] = True
            gates.settle(is_open)

    def cost(self) -> int:
        """Compute the cost once everything closed is pruned"""
        return getattr(cost_once_pruned(self.gated), self.count)

    def gap(self) -> float:
        """Compute the difference between cost and target"""
        return abs(self.cost() - self.target)

    def smallest_price(self) -> int:
        """Compute the smallest cost of a unit that can be opened or closed"""
        prices = (
            self.price([unit])
            for units in self.units(True) + self.units(False)
            for unit in units[:1]
        )
        return min((price for price in prices if price), default=0)

    def total_worth(self) -> float:
        """Sum up the worth of open gates"""
        pairs = zip(self.worth, self.is_open(), strict=True)
        return sum(worth[is_open].sum().item() for worth, is_open in pairs)

    def is_open(self) -> list[Tensor]:
        """List the state of all gates: booleans, in the order of `gates_of`"""
        return [gates.log_alpha > 0 for gates in self.gates]

    def restore(self, is_open: list[Tensor]):
        """Return to a previous state of all gates"""
        for gates, mask in zip(self.gates, is_open, strict=True):
            gates.settle(mask)

    def toggle(self, units: list[Unit]):
        """Open closed units, and close open units"""
        chosen: dict[int, list[int]] = {}
        for group, index in units:
            chosen.setdefault(group, []).append(index)
        for group, indices in chosen.items():
            is_open = self.gates[group].log_alpha > 0
            is_open[indices] = ~is_open[indices]
            self.gates[group].settle(is_open)

    def cost_after(self, units: list[Unit]) -> int:
        """Compute the cost once units are toggled"""
        self.toggle(units)
        found = self.cost()
        self.toggle(units)
        return found

    def fits(self, units: list[Unit], closing: bool) -> bool:
        """Whether toggling units does not pass the target"""
        found = self.cost_after(units)
        return found >= self.target if closing else found <= self.target

    def price(self, units: list[Unit]) -> int:
        """Compute the difference of cost that toggling units makes"""
        return abs(self.cost_after(units) - self.cost())

    def units(self, closing: bool) -> list[list[Unit]]:
        """List the units that can be closed (or opened), gates by gates"""
        found = []
        for group, (gates, worth) in enumerate(zip(self.gates, self.worth, strict=True)):
            can = (gates.log_alpha > 0) == closing
            if closing:
                can[worth.topk(gates.min_open).indices] = False
            found.append([(group, index) for index in can.nonzero().flatten().tolist()])
        return found

    def order(self, closing: bool) -> list[Unit]:
        """Sort the units that can be closed (or opened) by worth per cost"""
        found = []
        for units in self.units(closing):
            # units of a closed block cost nothing
            if units and (price := self.price(units[:1])):
                worth = self.worth[units[0][0]].tolist()
                found += [(worth[index] / price, (group, index)) for group, index in units]
        found.sort(key=lambda item: item[0], reverse=not closing)
        return [unit for _, unit in found]

    def approach(self, order: list[Unit], closing: bool) -> int:
        """Toggle as many of the first units as the target allows, and return their number"""
        low, high = 0, len(order)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.fits(order[:middle], closing)
            low, high = (middle, high) if fits else (low, middle - 1)
        self.toggle(order[:low])
        return low

    def fill(self, order: list[Unit], closing: bool):
        """Toggle units one by one, except where that would pass the target"""
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
