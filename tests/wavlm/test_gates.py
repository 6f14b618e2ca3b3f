import copy
import math

import golden
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyannote_prune import HardConcrete

TOLERANCE = 1e-6
VECTORS = ("ramp", "random", "open", "closed", "single_kept", "single_closed")


def gates_with(log_alpha, **options) -> HardConcrete:
    gates = HardConcrete(len(log_alpha), **options)
    gates.log_alpha.data = torch.as_tensor(log_alpha, dtype=torch.float32)
    return gates


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("setting", ["default", "narrow"])
def test_values_are_those_of_the_reference(setting, vector):
    """Or, without ../shared, those of the formulas of the paper, in double precision"""
    options, expected = reference(setting, vector)
    gates = gates_with(expected["log_alpha"], **options)
    norm = gates.l0_norm()
    norm.backward()
    noise = torch.as_tensor(expected["u"], dtype=torch.float32)
    close(norm.detach(), expected["l0_norm"])
    close(gates.log_alpha.grad, expected["l0_norm_grad"])
    close(gates.eval()().detach(), expected["eval_mask"])
    gates.log_alpha.grad = None
    sample = gates.sample(noise)
    sample.sum().backward()
    close(sample.detach(), expected["train_sample"])
    close(gates.log_alpha.grad, expected["train_sample_grad"])


def close(found, expected):
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=TOLERANCE)


def reference(setting, vector):
    if golden.available("hardconcrete"):
        limits = golden.read_json("hardconcrete/settings.json")["settings"][setting]
        arrays = np.load(golden.FOLDER / "hardconcrete" / "hardconcrete.npz")
        names = ("log_alpha", "l0_norm", "l0_norm_grad", "eval_mask", "u")
        names += ("train_sample", "train_sample_grad")
        beta, gamma, zeta = (limits[k] for k in ("temperature", "limit_l", "limit_r"))
        expected = {name: arrays[f"{setting}.{vector}.{name}"] for name in names}
        return {"beta": beta, "gamma": gamma, "zeta": zeta}, expected
    beta, gamma, zeta = (2 / 3, -0.1, 1.1) if setting == "default" else (0.5, -0.05, 1.02)
    rng = np.random.default_rng(0)
    log_alpha = {
        "ramp": np.linspace(-6, 6, 17),
        "random": rng.normal(0, 3, 40),
        "open": np.full(5, 9.0) + rng.random(5),
        "closed": np.full(5, -9.0) + rng.random(5),
        "single_kept": np.array([4.0]),
        "single_closed": np.array([-4.0]),
    }[vector]
    log_alpha = log_alpha.astype(np.float32).astype(np.float64)
    u = rng.uniform(0.01, 0.99, len(log_alpha)).astype(np.float32).astype(np.float64)
    probability = 1 / (1 + np.exp(-(log_alpha - beta * math.log(-gamma / zeta))))
    soft = 1 / (1 + np.exp(-0.8 * log_alpha / beta))
    closed = np.argsort(log_alpha)[: round(len(log_alpha) - probability.sum())]
    mask = soft.copy()
    mask[closed] = 0
    concrete = 1 / (1 + np.exp(-(np.log(u) - np.log(1 - u) + log_alpha) / beta))
    stretched = concrete * (zeta - gamma) + gamma
    inside = (stretched > 0) & (stretched < 1)
    return {"beta": beta, "gamma": gamma, "zeta": zeta}, {
        "log_alpha": log_alpha,
        "l0_norm": probability.sum(),
        "l0_norm_grad": probability * (1 - probability),
        "eval_mask": mask,
        "u": u,
        "train_sample": stretched.clip(0, 1),
        "train_sample_grad": inside * concrete * (1 - concrete) / beta * (zeta - gamma),
    }


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=50), st.data())
def test_kept_gates_are_those_that_are_open_in_evaluation_mode(log_alpha, data):
    min_open = data.draw(st.integers(0, len(log_alpha)))
    gates = gates_with(log_alpha, min_open=min_open).eval()
    values, kept = gates().detach(), gates.kept()
    assert kept.tolist() == values.nonzero().flatten().tolist()
    assert torch.equal(gates.values().detach(), values[kept])
    expected = len(log_alpha) - round(len(log_alpha) - gates.l0_norm().item())
    assert len(kept) == max(min_open, expected)
    # the strongest ones
    if len(kept):
        assert gates.log_alpha[kept].min() >= max(
            [gates.log_alpha[i].item() for i in range(len(log_alpha)) if i not in kept],
            default=-math.inf,
        )


def test_probability_is_the_frequency_of_samples_that_are_not_closed():
    gates = gates_with(torch.linspace(-4, 4, 9))
    with torch.no_grad():
        frequency = torch.stack([gates() > 0 for _ in range(4000)]).float().mean(0)
    torch.testing.assert_close(frequency, gates.probabilities().detach(), rtol=0, atol=0.03)


@pytest.mark.parametrize("drop_rate", [0.01, 0.5])
def test_initial_gates_have_the_drop_rate(drop_rate):
    gates = HardConcrete(10000, drop_rate=drop_rate)
    expected = math.log(1 - drop_rate) - math.log(drop_rate)
    assert abs(gates.log_alpha.mean().item() - expected) < 1e-3
    assert abs(gates.log_alpha.std().item() - 0.01) < 1e-3


def test_state_is_log_alpha_alone():
    gates = HardConcrete(4)
    assert list(gates.state_dict()) == ["log_alpha"]
    assert list(dict(gates.named_parameters())) == ["log_alpha"]


def test_mask_follows_log_alpha():
    """After an optimizer step, `load_state_dict`, a copy, and under `inference_mode`"""
    gates = gates_with([3.0, -3.0, 3.0, -3.0]).eval()
    with torch.inference_mode():
        before = gates()
    assert (before > 0).tolist() == [True, False, True, False]

    optimizer = torch.optim.SGD(gates.parameters(), lr=1e4)
    (gates.l0_norm() * torch.ones(())).backward()
    optimizer.step()  # closes everything
    assert not gates().any()

    gates.load_state_dict({"log_alpha": -torch.tensor([3.0, -3.0, 3.0, -3.0])})
    assert (gates() > 0).tolist() == [False, True, False, True]

    twin = copy.deepcopy(gates)
    twin.log_alpha.data.neg_()
    assert (twin() > 0).tolist() == [True, False, True, False]
    assert (gates() > 0).tolist() == [False, True, False, True]
    (torch.ones(4, requires_grad=True) * gates()).sum().backward()


@settings(max_examples=20)
@given(st.integers(2, 30))
def test_ties_are_broken_by_rank(num_gates):
    gates = gates_with([0.0] * num_gates)
    kept = gates.kept().tolist()
    assert kept == list(range(num_gates - len(kept), num_gates))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_rate": 0.0}, r"`drop_rate` must be in \(0, 1\), found 0.0"),
        ({"drop_rate": 1.5}, r"`drop_rate` must be in \(0, 1\)"),
        ({"min_open": 5}, r"`min_open` must be between 0 and the number of gates \(4\), found 5"),
        ({"beta": 0.0}, "`beta` must be positive"),
        ({"gamma": 0.1}, "`gamma` negative"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HardConcrete(4, **options)
