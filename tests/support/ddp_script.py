"""Pruning, or training with a teacher, in one process or two, for `test_distributed.py`"""

import logging
import os
import sys
import warnings

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
warnings.filterwarnings("ignore")

import lightning
import torch
from helpers import CONFORMER, tiny_config, tiny_model
from pyannote.database import FileFinder, registry

import pyannote_prune.training.task
from pyannote_prune import DistillationPruning, gate, prune
from pyannote_prune.pruning.teacher import DiarizationWithTeacher
from pyannote_prune.training.clipping import PercentileGradientClipping
from pyannote_prune.training.non_finite import SkipNonFinite

BATCH_SIZE, NUM_STEPS = 8, 6

# sample that is not finite: in the fourth batch, of the second process when there are two
DAMAGED = 3 * BATCH_SIZE + 1


class SharedBatches:
    """Split the batches of a single process between processes"""

    def train__iter__(self):
        trainer = self.model.trainer
        for index in range(BATCH_SIZE * NUM_STEPS):
            if index % trainer.world_size == trainer.global_rank:
                chunk = self.prepare_chunk(index % 4, 0.5 * (index // 4), self.duration)
                if index == DAMAGED:
                    chunk["X"][0, 100] = float("nan")
                yield chunk

    def task_loss(self, scores, batch):
        # pyannote.audio's powersets count in single precision, whatever the precision of training
        self.model.powerset.float()
        return super().task_loss(scores, batch)

    def val__len__(self):
        # two processes cannot have as many
        return 2 * (super().val__len__() // 2) - 1


class SharedPruning(SharedBatches, DistillationPruning):
    """Pruning, with batches of a single process"""


class SharedTeaching(SharedBatches, DiarizationWithTeacher):
    """Training with a teacher, with batches of a single process"""


def same_gates(seed: int, rank: int, epoch: int, batch_idx: int) -> int:
    """Ordinary seeds differ from one process to the other"""
    return batch_idx


class Warnings(logging.Handler):
    """Keep warnings about skipped steps"""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def main():
    said = Warnings()
    logging.getLogger("pyannote_prune.training.non_finite").addHandler(said)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    database, protocol, output, devices, name = sys.argv[1:]
    devices = int(devices)
    registry.load_database(database)
    pyannote_prune.training.resume.step_seed = same_gates

    lightning.seed_everything(0, verbose=False)
    # a head in training mode computes the same for half a batch
    CONFORMER.update(use_group_norm=True, dropout=0.0)
    # double precision: AdamW would amplify rounding errors
    dropouts = ("projection_dropout", "dropout", "attention_dropout")
    teacher = tiny_model(tiny_config(**dict.fromkeys(dropouts, 0.0)), duration=2.0).double()
    options = {
        "duration": 2.0,
        "max_speakers_per_chunk": 3,
        "batch_size": BATCH_SIZE // devices,
        "num_workers": 0,
        "teacher": teacher,
    }
    found = registry.get_protocol(protocol, preprocessors={"audio": FileFinder()})
    student = gate(teacher)
    if name == "pruning":
        weights = {"output_weight": 0.5, "task_weight": 0.3}
        student.task = SharedPruning(
            found, target_sparsity=0.5, warm_up_epochs=1, **weights, **options
        )
    else:
        student = prune(student, 0.5)
        student.task = SharedTeaching(found, teacher_weight=0.5, **options)
    skip = SkipNonFinite(maximum=1)
    options = {
        "accelerator": "cpu",
        "devices": devices,
        "strategy": "ddp" if devices > 1 else "auto",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = lightning.Trainer(
        precision="64-true",
        max_epochs=1,
        limit_train_batches=NUM_STEPS,
        limit_val_batches=0,
        callbacks=[skip, PercentileGradientClipping()],
        **options,
    )
    before = {name: value.clone() for name, value in student.state_dict().items()}
    trainer.fit(student)
    content = {
        "world_size": trainer.world_size,
        "num_skipped": skip.num_skipped,
        "said": said.messages,
        "before": before,
        "after": dict(student.state_dict()),
        "logged": {name: float(value) for name, value in trainer.logged_metrics.items()},
    }
    # single precision, which is the only one that pyannote.audio validates in
    student.task.teacher.float()
    (validated,) = lightning.Trainer(**options).validate(student.float(), verbose=False)
    content["validated"] = validated
    torch.save(content, f"{output}.{trainer.global_rank}")


if __name__ == "__main__":
    main()
