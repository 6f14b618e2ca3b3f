"""Distillation and pruning in two CPU processes, started by `test_task.py`"""

import json
import logging
import os
import sys
import warnings

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
warnings.filterwarnings("ignore")

import lightning
import torch
from helpers import tiny_model
from pyannote.database import FileFinder, registry

from pyannote_prune import DistillationPruning, gate


def main():
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    database, protocol, output = sys.argv[1:]
    registry.load_database(database)

    lightning.seed_everything(0, verbose=False)
    teacher = tiny_model(duration=2.0)
    student = gate(teacher)
    student.task = DistillationPruning(
        registry.get_protocol(protocol, preprocessors={"audio": FileFinder()}),
        duration=2.0,
        max_speakers_per_chunk=3,
        batch_size=4,
        num_workers=0,
        teacher=teacher,
        target_sparsity=0.5,
        warm_up_epochs=1,
    )
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        max_steps=6,
        limit_val_batches=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    before = torch.cat([p.detach().flatten() for p in student.wavlm.parameters()])
    trainer.fit(student)
    after = {name: value.double().sum().item() for name, value in student.state_dict().items()}
    change = (
        (torch.cat([p.detach().flatten() for p in student.wavlm.parameters()]) - before).abs().max()
    )
    with open(f"{output}.{trainer.global_rank}", "w") as file:
        json.dump(
            {"weights": after, "change": change.item(), "world_size": trainer.world_size}, file
        )


if __name__ == "__main__":
    main()
