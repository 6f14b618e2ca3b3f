import golden
import numpy as np
import pytest
import torch

from pyannote_prune.pruning.distillation import layer_distance, matched_layers, posterior_divergence


def student_and_teacher():
    """Those of the reference, or random ones"""
    shape = (2, 4, 20, 48)
    if not golden.available("distill_loss"):
        student = torch.randn(shape)
        return student, student + 0.7 * torch.randn(shape), None
    normal = golden.recipe().normal
    student = normal("distill/student", shape)
    teacher = student + 0.7 * normal("distill/teacher", shape)
    expected = golden.read_json("distill_loss/expected.json")["losses"]
    return torch.from_numpy(student), torch.from_numpy(teacher.astype(np.float32)), expected


@pytest.mark.parametrize("case", ["l1_cos_raw", "weighted"])
def test_distance_is_that_of_the_reference(case):
    """And, in any case, that of plain numpy in double precision"""
    student, teacher, expected = student_and_teacher()
    weights = {"l1_cos_raw": (1, 1, 0), "weighted": (2, 0.25, 0.5)}[case]
    student.requires_grad_()
    distance = layer_distance(student, teacher, *weights)
    distance.backward()

    s, t = (x.detach().double().numpy() for x in (student, teacher))
    cosine = (s * t).sum(-1) / np.linalg.norm(s, axis=-1) / np.linalg.norm(t, axis=-1)
    l1, l2 = np.abs(s - t).mean(), np.square(s - t).mean()
    plain = weights[0] * l1 - weights[1] * cosine.mean() + weights[2] * l2
    assert distance.item() == pytest.approx(plain, abs=1e-6)
    if expected is not None:
        assert distance.item() == pytest.approx(expected[case]["loss"], abs=1e-6)
        gradient = np.load(golden.FOLDER / "distill_loss" / "expected.npz")[f"{case}.grad"]
        np.testing.assert_allclose(student.grad[:, :, :2].numpy(), gradient, atol=1e-6)


def test_equal_layers_are_at_minus_one():
    states = torch.randn(2, 3, 10, 8)
    assert layer_distance(states, states).item() == pytest.approx(-1.0, abs=1e-6)
    assert layer_distance(states, -states).item() > 1


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"same shape, found \(1, 2, 3, 4\) and \(1, 2, 3, 5\)"):
        layer_distance(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5))


def test_divergence_is_that_of_torch_distributions():
    for num_classes in (2, 7, 11):
        student, teacher = (3 * torch.randn(2, 3, 20, num_classes)).log_softmax(-1)
        found = posterior_divergence(student, teacher)
        categorical = torch.distributions.Categorical
        both = categorical(logits=teacher), categorical(logits=student)
        assert found.item() == pytest.approx(
            torch.distributions.kl_divergence(*both).mean().item(), rel=1e-5
        )
        # not the other way round, and least when equal
        assert found.item() != pytest.approx(
            posterior_divergence(teacher, student).item(), rel=0.01
        )
        assert posterior_divergence(teacher, teacher).item() == pytest.approx(0.0, abs=1e-6)


def test_divergence_needs_the_same_classes():
    with pytest.raises(ValueError, match=r"same classes, found \(1, 2, 7\) and \(1, 2, 11\)"):
        posterior_divergence(torch.zeros(1, 2, 7), torch.zeros(1, 2, 11))


@pytest.mark.parametrize(("num_layers", "expected"), [(2, (0, 1, 2)), (4, (0, 1, 3, 4))])
def test_default_layers_are_evenly_spaced(num_layers, expected):
    assert matched_layers(num_layers) == expected


@pytest.mark.parametrize("layers", [(0, 5), (-1,), (1, 1), ()])
def test_layers_out_of_range_are_refused(layers):
    with pytest.raises(ValueError, match="`layers` must be different indices from 0 to 4"):
        matched_layers(4, layers)
