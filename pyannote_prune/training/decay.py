"""Learning rates that decay"""

from __future__ import annotations

from typing import Any

import lightning

from .steps import place_in_epoch


class LinearDecay(lightning.Callback):
    """Lower learning rates linearly, to a share of them in the last step

    They are those of `torch.optim.lr_scheduler.LinearLR` over all steps of `max_epochs`, computed
    from the number of the step: there is no state to resume but that of the optimizer. Groups of
    the optimizer with `"clip": False` (gates and multipliers) keep their learning rate.

    Parameters
    ----------
    decay_to : float
        Share of the first learning rates, in [0, 1].

    Raises
    ------
    ValueError
        If the share is impossible, or (when training starts) if the number of epochs has no limit.
    """

    def __init__(self, decay_to: float):
        if not 0 <= decay_to <= 1:
            raise ValueError(
                f"`decay_to` must be in [0, 1], found {decay_to}: it is the share of learning "
                "rates that is left in the last step."
            )
        self.decay_to = decay_to

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule):
        if trainer.max_epochs is None or trainer.max_epochs < 0:
            raise ValueError(
                f"`max_epochs` must be given with `decay_to`, found {trainer.max_epochs}: learning "
                "rates decay until the last of its steps."
            )

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,
        batch_idx: int,
    ):
        assert trainer.max_epochs is not None
        step, num_steps = place_in_epoch(trainer, batch_idx)
        last = trainer.max_epochs * num_steps - 1
        progress = (trainer.current_epoch * num_steps + step) / max(1, last)
        factor = 1 - (1 - self.decay_to) * min(1.0, progress)
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                if group.get("clip", True):
                    # saved with the optimizer, under the name that schedulers of torch give it
                    group["lr"] = factor * group.setdefault("initial_lr", group["lr"])
