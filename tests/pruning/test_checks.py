"""Students, teachers and options that do not fit"""

import math

import pytest
import torch
from helpers import CONFORMER, tiny_config, tiny_model
from students import DECISIONS, DURATION, make_student, make_task

from pyannote_prune import (
    DistillationPruning,
    WavLMSegmentation,
    gate,
)
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.specifications import powerset_specifications

pytestmark = pytest.mark.filterwarnings("ignore")


def setup_with(protocol, student, **options):
    student.task = make_task(protocol, **options)
    student.task.prepare_data()
    student.setup()


def test_student_with_other_classes_is_refused_and_left_alone(protocol, teacher):
    student = gate(tiny_model(duration=DURATION))
    student.specifications = powerset_specifications(DURATION, 4, 2)
    student.setup()
    classifier = student.classifier.weight.clone()
    with pytest.raises(ValueError, match=r"must have the 7 classes of its task.*found 11"):
        setup_with(protocol, student, teacher=teacher)
    assert torch.equal(student.classifier.weight, classifier)


def test_untrained_teacher_is_refused(protocol):
    teacher = WavLMSegmentation(wavlm=tiny_config(), conformer=CONFORMER)
    with pytest.raises(ValueError, match="`teacher` must be a trained .* found no specifications"):
        DistillationPruning(protocol, teacher=teacher)


def test_misfits_are_refused_before_training(protocol, teacher):
    dense = load_checkpoint(teacher)
    with pytest.raises(ValueError, match="student must have gates, found none"):
        setup_with(protocol, dense, teacher=teacher)
    with pytest.raises(
        ValueError, match="`target_sparsity` must be given for a student with gates"
    ):
        setup_with(protocol, make_student(teacher), teacher=teacher, target_sparsity=None)
    with pytest.raises(ValueError, match=r"`target_sparsity` must be at most 0\.\d+ .*found 0.99"):
        setup_with(protocol, make_student(teacher), teacher=teacher, target_sparsity=0.99)
    student = make_student(teacher, ("head", "conformer_head"))
    with pytest.raises(ValueError, match="`scope` must be 'model' .* gates on 'conformer_head'"):
        setup_with(protocol, student, teacher=teacher, **DECISIONS)
    with pytest.raises(ValueError, match="`output_weight` or `task_weight` must be above 0 for a"):
        setup_with(protocol, student, teacher=teacher, scope="model")
    options = {"teacher": teacher, "scope": "model", **DECISIONS}
    with pytest.raises(ValueError, match="`target_sparsity` must be given for a student"):
        setup_with(protocol, student, target_sparsity=None, **options)
    with pytest.raises(ValueError, match=r"must be at most 0\.\d+ .*gates on head, conformer_head"):
        setup_with(protocol, student, target_sparsity=0.9, **options)
    with pytest.raises(ValueError, match=r"`duration` must be the window length .*\(5 s\)"):
        setup_with(protocol, make_student(teacher), teacher=tiny_model(duration=5.0))
    other = tiny_model(tiny_config(embed_dim=96, num_heads=8), duration=DURATION)
    with pytest.raises(ValueError, match="must have the same `embed_dim`, found 48 and 96"):
        setup_with(protocol, make_student(teacher), teacher=other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_sparsity": 1.0}, r"`target_sparsity` must be in \[0, 1\), found 1.0"),
        ({"target_sparsity": -0.5}, r"`target_sparsity` must be in \[0, 1\)"),
        ({"objective": "flops"}, "`objective` must be one of"),
        ({"scope": "head"}, "`scope` must be one of 'wavlm', 'model', found 'head'"),
        ({"layers": (0, 3)}, "`layers` must be different indices from 0 to 2"),
        ({"warm_up_epochs": -1}, "`warm_up_epochs` must not be negative"),
        ({"output_weight": -0.5}, "`output_weight` must be finite and not negative, found -0.5"),
        ({"task_weight": math.nan}, "`task_weight` must be finite and not negative, found nan"),
        ({"l1_weight": 0, "cosine_weight": 0}, "`task_weight` must be above 0, found none"),
    ],
)
def test_impossible_options_are_refused(protocol, teacher, options, message):
    with pytest.raises(ValueError, match=message):
        make_task(protocol, teacher, **options)
