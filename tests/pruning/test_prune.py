"""In evaluation mode, the gated model and the pruned one are the same function"""

import copy
from itertools import cycle

import golden
import numpy as np
import pytest
import torch
from helpers import LARGE_STYLE, TINY, randomize, relative_error, tiny_config, tiny_model
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import configs

from pyannote_prune import WavLM, WavLMConfig, cost, gate, prune
from pyannote_prune.wavlm.cost import expected_cost
from pyannote_prune.wavlm.gates import SATURATED, gates_of
from pyannote_prune.wavlm.gating import pruned_config
from pyannote_prune.wavlm.units import UNITS as KINDS

# largest difference relative to the peak, in float32
TOLERANCE = 1e-5

UNITS = tuple(KINDS)


def set_gates(module, log_alpha):
    """`log_alpha` of all gates: a number, or a function of their number"""
    with torch.no_grad():
        for gates in gates_of(module):
            value = log_alpha(gates.num_gates) if callable(log_alpha) else log_alpha
            gates.log_alpha.copy_(torch.as_tensor(value).expand(gates.num_gates))


def has_units(config, units) -> bool:
    """Whether there is anything to attach gates to"""
    return (
        "channel" in units
        or (bool(units & {"head", "attention"}) and any(layer.heads for layer in config.layers))
        or (bool(units & {"neuron", "feed_forward"}) and any(x.neurons for x in config.layers))
    )


def every_other(module):
    """Close every other gate, blocks included"""
    closed = cycle([True, False])
    set_gates(module, lambda n: torch.tensor([-4.0 if next(closed) else 2.0 for _ in range(n)]))


def random_gates(seed: int, spread: float):
    generator = torch.Generator().manual_seed(seed)
    return lambda n: spread * torch.randn(n, generator=generator)


def assert_same_function(gated, pruned, waveforms, tolerance=TOLERANCE):
    """Hidden states, log-probabilities, and gradients with respect to the waveform"""
    gated, pruned = gated.eval(), pruned.eval()
    outputs = []
    for model in (gated, pruned):
        inputs = waveforms.clone().requires_grad_()
        encoder = model if isinstance(model, WavLM) else model.wavlm
        hidden = encoder(inputs[:, 0])
        final = hidden[-1] if model is encoder else model(inputs)
        probe = torch.linspace(-1, 1, final.numel(), dtype=final.dtype).view_as(final)
        (gradient,) = torch.autograd.grad((final * probe).sum(), inputs)
        outputs.append([*hidden, final, gradient])
    for i, (found, expected) in enumerate(zip(*reversed(outputs), strict=True)):
        # LayerNorm over one channel lets nothing through: gradients are 0 but for rounding
        peak = expected.abs().max().clamp(min=1e-2)
        assert (found - expected).abs().max() <= tolerance * peak, f"output {i}"


@settings(max_examples=150, deadline=None)
@given(
    config=configs(),
    units=st.sets(st.sampled_from(UNITS), min_size=1),
    seed=st.integers(0, 2**31),
    spread=st.sampled_from([0.5, 3.0, 10.0]),
)
def test_pruned_encoder_matches_gated_encoder(config, units, seed, spread):
    """Whatever is left: in float64, since LayerNorm over two channels makes much of rounding"""
    assume(has_units(config, units))
    torch.manual_seed(seed)
    wavlm = WavLM(config).double().eval()
    randomize(wavlm)
    gated = gate(wavlm, sorted(units))
    set_gates(gated, random_gates(seed, spread))
    pruned = prune(gated)
    assert pruned.norm.weight.dtype == torch.float64
    assert not gates_of(pruned)
    assert cost(pruned).parameters == sum(p.numel() for p in pruned.parameters())
    assert pruned.config == pruned_config(gated)
    assert_same_function(gated, pruned, torch.randn(2, 1, 2000).double(), tolerance=1e-8)


@pytest.mark.parametrize("seed", range(200))
def test_pruned_model_matches_gated_model_in_single_precision(seed):
    torch.manual_seed(seed)
    style = LARGE_STYLE if seed % 2 else {}
    model = tiny_model(WavLMConfig.dense(num_layers=2, neurons=40, channels=24, **TINY, **style))
    randomize(model)
    units = [unit for i, unit in enumerate(UNITS) if (seed % 31 + 1) >> i & 1]
    gated = gate(model, units)
    set_gates(gated, random_gates(seed, 2.0))
    assert_same_function(gated, prune(gated), torch.randn(1, 1, 2000))


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("unit", UNITS)
def test_pruned_model_matches_gated_model(unit, large):
    model = tiny_model(tiny_config(large))
    randomize(model)
    gated = gate(model, [unit])
    every_other(gated)
    pruned = prune(gated)
    waveforms = torch.randn(2, 1, 4000)
    assert relative_error(gated.eval()(waveforms), model(waveforms)) > 1e-3
    assert cost(pruned.wavlm).parameters < cost(model.wavlm).parameters
    assert_same_function(gated, pruned, waveforms)
    assert pruned.specifications == model.specifications
    assert pruned.hparams.units == []


def close_all(gated):
    set_gates(gated, -SATURATED)


def open_all(gated):
    set_gates(gated, SATURATED)


def close_first_attention(gated):
    open_all(gated)
    layer = gated.wavlm.layers[0]
    for gates in gates_of(layer.attention) + [g for g in [layer.attention_gate] if g is not None]:
        gates.log_alpha.data.fill_(-SATURATED)


def close_one_layer(gated):
    open_all(gated)
    set_gates(gated.wavlm.layers[1], -SATURATED)


def leave_one_channel(gated):
    def log_alpha(n):
        return torch.cat([torch.tensor([2.0]), torch.full((n - 1,), -SATURATED)])

    open_all(gated)
    for convolution in gated.wavlm.extractor.convolutions:
        if convolution.gate is not None:
            convolution.gate.log_alpha.data = log_alpha(convolution.gate.num_gates)


EXTREMES = [open_all, close_all, close_first_attention, close_one_layer, leave_one_channel]


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("extreme", EXTREMES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("units", [UNITS, UNITS[:3], UNITS[3:]], ids=["all", "units", "blocks"])
def test_extremes(units, extreme, large):
    model = tiny_model(tiny_config(large))
    randomize(model)
    gated = gate(model, units)
    extreme(gated)
    pruned = prune(gated)
    assert_same_function(gated, pruned, torch.randn(1, 1, 4000))
    if extreme is open_all:
        assert pruned.wavlm.config == model.wavlm.config
    if extreme is close_first_attention:
        assert pruned.wavlm.config.layers[0].heads == ()
    if extreme is close_all and "channel" in units:
        assert [c.channels for c in pruned.wavlm.config.convolutions] == [1] * 7


def test_closing_first_layer_attention_keeps_position_bias():
    model = tiny_model()
    randomize(model)
    gated = gate(model, ["head"])
    close_first_attention(gated)
    pruned = prune(gated)
    waveforms = torch.randn(1, 1, 4000)
    before = pruned(waveforms)
    pruned.wavlm.position_bias.embedding.weight.data.zero_()
    assert relative_error(pruned(waveforms), before) > 1e-4


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_pruning_again_keeps_original_head_indices(large):
    config = tiny_config(large)
    wavlm = WavLM(config).eval()
    randomize(wavlm)
    for kept in ([0, 2, 3], [2, 3], [3]):
        wavlm = gate(wavlm, UNITS[:3])
        open_all(wavlm)
        for layer, shape in zip(wavlm.layers, wavlm.config.layers, strict=True):
            closed = [i for i, head in enumerate(shape.heads) if head not in kept]
            layer.attention.gate.log_alpha.data[closed] = -SATURATED
        pruned = prune(wavlm)
        assert [layer.heads for layer in pruned.config.layers] == [tuple(kept)] * 2
        assert_same_function(wavlm, pruned, torch.randn(1, 1, 4000))
        wavlm = pruned


def test_bfloat16_autocast_stays_close():
    model = tiny_model()
    randomize(model)
    gated = gate(model, UNITS)
    set_gates(gated, random_gates(1, 2.0))
    pruned = prune(gated)
    waveforms = torch.randn(2, 1, 4000)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = (m.eval().wavlm(waveforms[:, 0])[-1].float() for m in (gated, pruned))
    assert relative_error(found, expected) < 0.05


def test_arguments_are_left_as_they_were():
    model = tiny_model()
    before = copy.deepcopy(model.state_dict())
    gated = gate(model)
    set_gates(gated, random_gates(0, 3.0))
    after_gate = copy.deepcopy(gated.state_dict())
    prune(gated)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(v, after_gate[k]) for k, v in gated.state_dict().items())
    assert model.hparams.units == []
    assert gated.hparams.units == ["channel", "head", "neuron"]


def test_training_mode_samples_gates():
    gated = gate(tiny_model(tiny_config(layer_drop=0.0, dropout=0.0)), ["neuron"]).train()
    waveforms = torch.randn(1, 4000)
    gated.wavlm.extractor.eval()
    assert not torch.equal(gated.wavlm(waveforms)[-1], gated.wavlm(waveforms)[-1])
    gated.eval()
    assert torch.equal(gated.wavlm(waveforms)[-1], gated.wavlm(waveforms)[-1])


@settings(max_examples=60, deadline=None)
@given(configs(), st.sets(st.sampled_from(UNITS), min_size=1), st.integers(0, 2**31))
def test_expected_cost_with_saturated_gates_is_the_count(config, units, seed):
    """Whether they are saturated open or closed"""
    assume(has_units(config, units))
    gated = WavLM(config, sorted(units))
    generator = torch.Generator().manual_seed(seed)
    set_gates(gated, lambda n: SATURATED * (2.0 * torch.randint(2, (n,), generator=generator) - 1))
    expected, counted = expected_cost(gated), cost(prune(gated))
    assert float(expected.parameters) == pytest.approx(counted.parameters, rel=1e-5)
    assert float(expected.macs_per_second) == pytest.approx(counted.macs_per_second, rel=1e-5)


def test_expected_cost_decreases_with_every_gate():
    gated = gate(WavLM(tiny_config()), UNITS)
    expected = expected_cost(gated)
    (expected.parameters + expected.macs_per_second).backward()
    for gates in gates_of(gated):
        assert (gates.log_alpha.grad > 0).all()


MASKED = golden.available(
    *(
        f"masked_vs_pruned/{style}_{name}"
        for style in ("base", "large")
        for name in ("head", "interm")
    )
)


@pytest.mark.parametrize("unit", ["head", "neuron"])
@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_gates_are_factors_of_the_weights_that_follow(unit, large):
    """Without any code of gates: those of the formula, which is worked out with numpy"""
    wavlm = WavLM(tiny_config(large)).eval()
    randomize(wavlm)
    gated, plain = gate(wavlm, [unit]), copy.deepcopy(wavlm)
    rng = np.random.default_rng(0)
    for layer, reference in zip(gated.layers, plain.layers, strict=True):
        block, following = (
            (layer.attention, reference.attention.output)
            if unit == "head"
            else (layer.feed_forward, reference.feed_forward.output)
        )
        log_alpha = rng.normal(0, 3, block.gate.num_gates)
        log_alpha[:2] = [-4, 4]  # one is closed, one is open
        is_open = 1 / (1 + np.exp(-(log_alpha - 2 / 3 * np.log(0.1 / 1.1))))
        values = 1 / (1 + np.exp(-0.8 * log_alpha / (2 / 3)))
        values[np.argsort(log_alpha)[: round(len(log_alpha) - is_open.sum())]] = 0
        assert 0 < np.count_nonzero(values) < len(values)
        block.gate.log_alpha.data = torch.tensor(log_alpha, dtype=torch.float32)
        size = following.in_features // len(values)
        following.weight.data *= torch.tensor(np.repeat(values, size), dtype=torch.float32)
    waveforms = torch.randn(2, 4000)
    expected = torch.stack(plain(waveforms))
    for encoder in (gated.eval(), prune(gated)):
        assert relative_error(torch.stack(encoder(waveforms)), expected) < 1e-4


@pytest.mark.skipif(not MASKED, reason="numbers of the reference: there is no ../shared")
@pytest.mark.parametrize("case", MASKED)
def test_gates_close_what_the_reference_closes(case):
    """Same log_alpha, same masks and hidden states, where the reference is exact"""
    config = golden.read_json(f"{case}/config.json")
    weights = golden.state_dict(f"{case}/keys.json")
    for key, value in config["log_alpha"].items():
        weights[key] = torch.tensor(value)
    unit = {"head": "head", "interm": "neuron"}[case.rsplit("_", 1)[1]]
    plain = {k: v for k, v in config["wavlm"].items() if "_prune_" not in k}
    wavlm = golden.load_encoder(plain, weights)
    gated = gate(wavlm, [unit])
    expected = np.load(golden.FOLDER / case / "expected.npz")
    masks = []
    for index, layer in enumerate(gated.layers):
        block, name = (
            (layer.attention, "attention.hard_concrete_for_heads")
            if unit == "head"
            else (layer.feed_forward, "feed_forward.hard_concrete_for_intermediate")
        )
        key = f"encoder.transformer.layers.{index}.{name}"
        block.gate.log_alpha.data = weights[f"{key}.log_alpha"]
        masks.append((block.gate.eval()().detach(), torch.from_numpy(expected[f"mask.{key}"])))
    for found, mask in masks:
        torch.testing.assert_close(found, mask, rtol=0, atol=1e-6)
    waveforms = torch.from_numpy(golden.recipe().waveform("synthetic_2s"))
    reference = torch.from_numpy(expected["masked.hidden_probe"])
    for encoder in (gated.eval(), prune(gated)):
        with torch.inference_mode():
            hidden = golden.probe(encoder(waveforms))
        torch.testing.assert_close(hidden, reference, rtol=1e-4, atol=1e-4)


def test_gating_twice_and_pruning_without_gates_are_refused():
    gated = gate(tiny_model())
    with pytest.raises(ValueError, match="`model` must not have gates.*prune it first"):
        gate(gated)
    with pytest.raises(ValueError, match="`model` must have gates, found none"):
        prune(tiny_model())


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (["heads"], "`units` must be different names among 'channel', 'head'"),
        (["head", "head"], "`units` must be different names"),
        ("head", "`units` must be different names"),
        ([], "`units` must not be empty"),
    ],
)
def test_impossible_units_are_refused(units, message):
    with pytest.raises(ValueError, match=message):
        gate(tiny_model(), units)


def test_units_that_leave_nothing_to_prune_are_refused():
    plain = tiny_config().to_dict()
    plain["layers"] = [{"heads": [], "neurons": 4}]
    wavlm = WavLM(WavLMConfig.from_dict(plain))
    with pytest.raises(ValueError, match="`units` must leave something to prune"):
        gate(wavlm, ["head", "attention"])
    assert gates_of(gate(wavlm, ["head", "neuron"]))
