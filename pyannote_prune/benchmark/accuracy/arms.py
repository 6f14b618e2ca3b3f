"""Arms of the experiment, and its scale"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

# method: description in tables
METHODS = {
    "dense": "dense",
    "longer": "dense, trained as long",
    "gates": "pruned by our recipe",
    "gradient": "ours, convolutions by a tenth of the gradient",
    "hidden": "ours, hidden states alone",
    "paper": "pruned by the recipe of the paper",
    "whole": "pruned by our recipe, head included",
    "scratch": "same structure as ours, from scratch",
    "magnitude": "pruned by magnitude",
    "magnitude-layer": "pruned by magnitude, each layer alike",
    "early": "pruned as in the paper, then fine-tuned",
    "pretrained": "pretrained",
}

# methods that prune by magnitude, at once
ONE_SHOT = ("magnitude", "magnitude-layer")

# groups of arms to compare, in tables of differences: the first minus the second
PAIRS = (
    ("gates-80", "longer"),
    ("gates-80", "dense"),
    ("gates-90", "longer"),
    ("gates-80", "paper-80"),
    ("gates-90", "paper-90"),
    ("gates-90", "hidden-90"),
    ("gates-90", "gradient-90"),
    ("gates-80", "scratch-80"),
    ("gates-90", "scratch-90"),
    ("gates-80", "magnitude-80"),
    ("gates-90", "magnitude-90"),
    ("gates-80", "magnitude-layer-80"),
    ("gates-90", "magnitude-layer-90"),
    ("paper-80", "early-80"),
    ("whole-80", "gates-80"),
)

# number of speakers in a window
MAX_SPEAKERS = 3


@dataclass(frozen=True)
class Arm:
    """Arm of the experiment: one training, or several in sequence

    Parameters
    ----------
    method : str
        One of METHODS.
    seed : int
    sparsity : float, optional
        Fraction of the dense WavLM to remove. Of the whole model with the method "whole".
    objective : {"parameters", "macs"}, optional
        What sparsity counts. Defaults to parameters.
    """

    method: str
    seed: int
    sparsity: float = 0.0
    objective: str = "parameters"

    @property
    def group(self) -> str:
        """Name without seed, which arms of the same group share"""
        parts = [self.method]
        if self.sparsity:
            parts.append(f"{100 * self.sparsity:g}")
        if self.objective != "parameters":
            parts.append(self.objective)
        return "-".join(parts)

    @property
    def name(self) -> str:
        return f"{self.group}-seed{self.seed}"

    @property
    def needs(self) -> Arm | None:
        """Arm that provides the initial model, or the structure"""
        if self.method == "pretrained":
            return None
        if self.method == "scratch":
            return replace(self, method="gates")
        return Arm("pretrained" if self.method in ("dense", "early") else "dense", self.seed)


# options of stages of ours: decisions are learnt besides hidden states, and the model is pruned in
# half the steps of the paper's recipe, to be trained for longer
OURS: dict[str, dict[str, Any]] = {
    "prune": {
        "max_epochs": 6,
        "warm_up_epochs": 3,
        "gate_learning_rate": 2e-1,
        "multiplier_learning_rate": 3e-1,
        "output_weight": 1.0,
        "task_weight": 1.0,
    },
    "distil": {"max_epochs": 0},
    "train": {"max_epochs": 18},
}
# the more there is to remove, the more steps it takes
OURS_FROM_90: dict[str, dict[str, Any]] = {
    "prune": {"max_epochs": 10, "warm_up_epochs": 4, "multiplier_learning_rate": 6e-1},
    "train": {"max_epochs": 14},
}


@dataclass(frozen=True)
class Scale:
    """Scale of the experiment: amount of data, size of models, number of steps

    Parameters
    ----------
    name : str
    num_seeds : int
        Number of seeds of arms that do not prune.
    sparsities : dict
        Number of seeds, by method and sparsity. "macs" is "gates" with this objective.
    num_train, num_development, num_test : int
        Number of conversations of 30 s.
    num_long : int
        Number of longer test conversations, for whole diarizations.
    long_durations : tuple of float
        Their durations, in seconds, in turn.
    wavlm : dict
        Arguments of `pyannote_prune.WavLMConfig.dense`.
    conformer : dict
        Arguments of the Conformer.
    speeds : tuple of float
        Factors of the speed of speakers: see `Simulation`.
    snr : (float, float)
        Range of signal-to-noise ratios, in dB.
    duration : float
        Length of windows, in seconds.
    batch_size : int
        Number of windows in a step.
    epoch : int
        Number of steps between two validations.
    pretrain, fine_tune, prune, warm_up, distil, train : int
        Number of epochs of each stage, as in the paper. The warm-up is part of `prune`.
    ours : dict of dict
        Options of the stages "prune", "distil" and "train" where methods of ours differ from the
        paper. In all, they have as many epochs.
    ours_from_90 : dict of dict
        The same, where they differ again for sparsities of 90 % and more.
    learning_rate, gate_learning_rate, multiplier_learning_rate : float
        Learning rates of all weights, of gates, and of the multipliers of the sparsity penalty.
        Models are not pretrained: learning rates are larger than in the paper.
    decay_to : float
        Share of the learning rate that is left at the end of stages that learn diarization. Without
        decay, error rates of single epochs differ by several points.
    """

    name: str
    num_seeds: int
    sparsities: dict[str, dict[float, int]]
    num_train: int
    num_development: int
    num_test: int
    epoch: int
    pretrain: int
    fine_tune: int
    prune: int
    warm_up: int
    distil: int
    train: int
    wavlm: dict[str, Any]
    conformer: dict[str, Any]
    num_long: int = 10
    long_durations: tuple[float, ...] = (120.0, 180.0, 240.0)
    ours: dict[str, dict[str, Any]] = field(default_factory=lambda: deepcopy(OURS))
    ours_from_90: dict[str, dict[str, Any]] = field(default_factory=lambda: deepcopy(OURS_FROM_90))
    speeds: tuple[float, ...] = (0.8, 1.0, 1.25)
    snr: tuple[float, float] = (20.0, 40.0)
    duration: float = 4.0
    batch_size: int = 8
    learning_rate: float = 1e-3
    gate_learning_rate: float = 1e-1
    multiplier_learning_rate: float = 1.5e-1
    decay_to: float = 0.02

    def arms(self, groups: Collection[str] | None = None) -> list[Arm]:
        """List arms, each one after the arms that it needs

        Parameters
        ----------
        groups : collection of str, optional
            Names of the groups to list, with the arms that they need. Defaults to all of them.

        Raises
        ------
        ValueError
            If a group does not exist.
        """
        seeds = range(1, self.num_seeds + 1)
        found = [Arm(method, seed) for seed in seeds for method in ("pretrained", "dense")]
        for sparsity in dict.fromkeys(s for row in self.sparsities.values() for s in row):
            for method, row in self.sparsities.items():
                objective = "macs" if method == "macs" else "parameters"
                for seed in seeds[: row.get(sparsity, 0)]:
                    arm = Arm(method.replace("macs", "gates"), seed, sparsity, objective)
                    found += [other for other in (arm.needs, arm) if other and other not in found]
        found += [Arm("longer", seed) for seed in seeds]
        if groups is None:
            return found
        known = list(dict.fromkeys(arm.group for arm in found))
        if unknown := [group for group in groups if group not in known]:
            raise ValueError(
                f"`groups` must be among {', '.join(known)}, found {', '.join(unknown)}."
            )
        needed: set[Arm] = set()
        for arm in found:
            wanted: Arm | None = arm if arm.group in groups else None
            while wanted is not None:
                needed.add(wanted)
                wanted = wanted.needs
        return [arm for arm in found if arm in needed]


WAVLM = {
    "num_layers": 4,
    "neurons": 384,
    "channels": 32,
    "embed_dim": 96,
    "num_heads": 4,
    "position_kernel": 16,
    # as in Large: post-norm layers learn slowly from random weights
    "norm_first": True,
    "layer_drop": 0.0,
    # conversations are simulated: there are enough of them
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "projection_dropout": 0.0,
}
# small, so that results depend on WavLM
CONFORMER = {
    "input_dim": 32,
    "ffn_dim": 64,
    "num_layers": 1,
    "depthwise_conv_kernel_size": 3,
    "dropout": 0.0,
}

FULL = Scale(
    name="full",
    num_seeds=5,
    sparsities={
        "gates": {0.8: 5, 0.9: 5, 0.5: 3, 0.7: 1, 0.95: 3},
        "gradient": {0.9: 3},
        "hidden": {0.9: 3},
        "paper": {0.8: 3, 0.9: 5},
        "whole": {0.8: 3},
        "scratch": {0.8: 3, 0.9: 5},
        "magnitude": {0.8: 3, 0.9: 3},
        "magnitude-layer": {0.8: 3, 0.9: 5},
        "early": {0.8: 3},
        "macs": {0.8: 3},
    },
    num_train=400,
    num_development=12,
    num_test=60,
    epoch=50,
    pretrain=20,
    fine_tune=40,
    prune=12,
    warm_up=4,
    distil=2,
    train=10,
    wavlm=WAVLM,
    conformer=CONFORMER,
)

SMALL = replace(
    FULL,
    name="small",
    num_seeds=1,
    sparsities={method: {0.8: 1} for method in FULL.sparsities},
    num_train=60,
    num_development=2,
    num_test=4,
    fine_tune=16,
    num_long=2,
    long_durations=(40.0, 50.0),
    epoch=6,
)
