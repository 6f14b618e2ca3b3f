"""In evaluation mode, the gated Conformer and the pruned one are the same function"""

import pytest
import torch
from helpers import CONFORMER, randomize, relative_error, tiny_config, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import conformers, prunable_conformers
from torch import nn
from torchaudio.models import Conformer

from pyannote_prune import WavLM, WavLMSegmentation, gate, prune, save_checkpoint
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.conformer_gates import (
    attach_conformer_gates,
    make_conformer,
    remove_conformer_gates,
)
from pyannote_prune.segmentation.head import CONFORMER_DEFAULTS, Head, LSTMOptions, run_conformer
from pyannote_prune.segmentation.units import HEAD_UNITS, MODEL_UNITS
from pyannote_prune.wavlm.gates import SATURATED, gates_of

UNITS = tuple(HEAD_UNITS)


def set_gates(module, log_alpha):
    """`log_alpha` of all gates, from their number"""
    with torch.no_grad():
        for gates in gates_of(module):
            gates.log_alpha.copy_(torch.as_tensor(log_alpha(gates.num_gates)))


def open_all(module):
    set_gates(module, lambda n: torch.full((n,), SATURATED))


def random_conformer(options):
    """With weights and statistics that could hide no mistake"""
    conformer = make_conformer(options)
    randomize(conformer)
    for module in conformer.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return conformer.eval()


def outputs_and_gradient(conformer, inputs):
    inputs = inputs.clone().requires_grad_()
    outputs = run_conformer(conformer, inputs)
    probe = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view_as(outputs)
    (gradient,) = torch.autograd.grad((outputs * probe).sum(), inputs)
    return outputs.detach(), gradient


@settings(max_examples=60, deadline=None)
@given(
    prunable_conformers(), st.integers(0, 2**31), st.sampled_from([0.5, 3.0, 10.0]), st.booleans()
)
def test_pruned_conformer_matches_gated_one(case, seed, spread, double):
    """Outputs, and gradients with respect to inputs"""
    options, units = case
    torch.manual_seed(seed)
    dtype, tolerance = (torch.float64, 1e-10) if double else (torch.float32, 1e-5)
    conformer = random_conformer(options).to(dtype)
    closed = attach_conformer_gates(conformer, options, units)
    set_gates(closed, lambda n: spread * torch.randn(n))
    pruned = remove_conformer_gates(closed)
    assert not gates_of(pruned)
    inputs = torch.randn(2, 9, options["input_dim"], dtype=dtype)
    found, expected = (outputs_and_gradient(x, inputs) for x in (pruned, closed))
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max().clamp(min=0.1)


@settings(max_examples=20, deadline=None)
@given(conformers(pruned=False), st.integers(0, 2**31))
def test_open_gates_leave_the_conformer_of_torchaudio(options, seed):
    """In training mode too, where normalizations learn the same statistics"""
    options = Head(conformer=options).conformer | {"dropout": 0.0}
    units = UNITS[:2] if options["use_group_norm"] else UNITS
    torch.manual_seed(seed)
    conformer = random_conformer(options)
    assert type(conformer) is Conformer
    opened = attach_conformer_gates(conformer, options, units)
    open_all(opened)
    inputs = torch.randn(2, 9, options["input_dim"])
    for training in (False, True):
        conformer.train(training), opened.train(training)
        found, expected = (outputs_and_gradient(x, inputs) for x in (opened, conformer))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    found, expected = opened.state_dict(), conformer.state_dict()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value)
    # and where nothing was closed, nothing is left of the gates
    back = remove_conformer_gates(opened)
    assert type(back) is Conformer
    assert list(back.state_dict()) == list(expected)


def test_heads_that_are_not_pruned_are_made_as_ever():
    """By torchaudio, of the same random numbers"""
    found, expected = [], []
    for made, make in ((found, make_conformer), (expected, lambda x: Conformer(**x))):
        torch.manual_seed(5)
        made += [make(CONFORMER_DEFAULTS), torch.rand(1)]
    assert type(found[0]) is Conformer
    assert torch.equal(found[1], expected[1])
    assert list(found[0].state_dict()) == list(expected[0].state_dict())
    for key, value in expected[0].state_dict().items():
        assert torch.equal(found[0].state_dict()[key], value), key


def pruned_model(close=None, units=tuple(MODEL_UNITS)) -> tuple[WavLMSegmentation, ...]:
    model = tiny_model()
    randomize(model)
    model = gate(model, units)
    set_gates(model, lambda n: 2 * torch.randn(n))
    if close is not None:
        close(model.conformer.conformer_layers[0])
    return model.eval(), prune(model).eval()


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("pruned", [False, True], ids=["gated", "pruned"])
def test_models_are_saved_with_their_head(tmp_path, suffix, pruned):
    model = pruned_model()[pruned]
    path = tmp_path / f"model{suffix}"
    save_checkpoint(model, path)
    waveforms = torch.randn(1, 1, 8000)
    for load in (load_checkpoint, WavLMSegmentation.from_pretrained):
        found = load(path).eval()
        assert found.head == model.head
        assert found.units == model.units
        assert torch.equal(found(waveforms), model(waveforms))


def test_models_are_pruned_again_and_again():
    waveforms = torch.randn(2, 1, 4000)
    model = tiny_model()
    randomize(model)
    sizes = []
    for _ in range(3):
        gated = gate(model, ("head", *UNITS))
        set_gates(gated, lambda n: torch.randn(n) + 1.0)
        before, model = model, prune(gated)
        assert relative_error(model.eval()(waveforms), before.eval()(waveforms)) > 1e-3
        assert relative_error(model(waveforms), gated.eval()(waveforms)) < 1e-5
        sizes.append(sum(p.numel() for p in model.conformer.parameters()))
    assert sizes == sorted(set(sizes), reverse=True)


def close(block: str):
    def close(layer):
        getattr(layer, block).gate.log_alpha.data.fill_(-SATURATED)

    return close


@pytest.mark.parametrize(
    ("block", "size"),
    [
        ("ffn1", "first_neurons"),
        ("self_attn", "heads"),
        ("conv_module", "channels"),
        ("ffn2", "second_neurons"),
    ],
)
def test_blocks_without_units_are_removed(block, size):
    gated, pruned = pruned_model(close(block), UNITS)
    assert pruned.head.conformer["layers"][0][size] == 0
    assert not any(block in name for name in pruned.state_dict())
    waveforms = torch.randn(2, 1, 4000)
    assert relative_error(pruned(waveforms), gated(waveforms)) < 1e-5


def test_wavlm_can_be_left_without_gates():
    gated, pruned = pruned_model(units=UNITS)
    assert gated.wavlm.units == ()
    assert gated.hparams.units == list(gated.units) == list(UNITS)
    assert pruned.wavlm.config == gated.wavlm.config
    assert pruned.hparams.units == []
    assert "layers" in pruned.hparams["conformer"]
    assert pruned.head.summary.endswith("pruned Conformer of 1 layers of dimension 16")
    with pytest.raises(ValueError, match="`model` must not have gates, found some for conformer_n"):
        gate(gated, ["head"])
    with pytest.raises(ValueError, match="must have gates, found none"):
        prune(pruned)


def test_training_mode_samples_gates_of_the_head():
    model = gate(tiny_model(tiny_config(layer_drop=0.0, dropout=0.0)), UNITS)
    set_gates(model, torch.zeros)
    model.eval()
    inputs = torch.randn(2, 9, 16)
    for layer in model.conformer.modules():
        layer.training = bool(gates_of(layer)) and not isinstance(layer, nn.Dropout)
    first, second = (run_conformer(model.conformer, inputs) for _ in range(2))
    assert relative_error(first, second) > 1e-3
    model.eval()
    assert torch.equal(*(run_conformer(model.conformer, inputs) for _ in range(2)))


def with_head(**head) -> WavLMSegmentation:
    return WavLMSegmentation(tiny_config(), head=Head(**head))


GROUP_NORM = CONFORMER | {"use_group_norm": True}
NO_HEAD = {"first_neurons": 3, "heads": 0, "channels": 4, "second_neurons": 0}


@pytest.mark.parametrize(
    ("make", "units", "message"),
    [
        (lambda: WavLM(tiny_config()), ["head", UNITS[0]], "for WavLM alone, found 'conformer_neu"),
        (
            lambda: with_head(projection=False, lstm=LSTMOptions(6, 1)),
            ["head", *UNITS],
            "head without Conformer, found 'conformer_neuron', 'conformer_head', .*LSTM",
        ),
        (
            lambda: with_head(conformer=GROUP_NORM),
            UNITS,
            "`units` must not have 'conformer_channel' for a Conformer with `use_group_norm`",
        ),
        (
            lambda: with_head(conformer=CONFORMER | {"layers": [NO_HEAD]}),
            ["head", "conformer_head"],
            "`units` must leave something to prune, found 'conformer_head'",
        ),
        (tiny_model, ["conformer_heads"], "`units` must be different names among .*'conformer_ch"),
    ],
)
def test_units_that_there_are_not_are_refused(make, units, message):
    with pytest.raises(ValueError, match=message):
        gate(make(), units)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 3}, "`conformer.layers` must be a list of 1 dictionaries.*found 3"),
        ({"layers": []}, "`conformer.layers` must be a list of 1 dictionaries"),
        (
            {"layers": [NO_HEAD | {"heads": -1}]},
            r"`conformer.layers\[0\].heads` must be an integer",
        ),
        ({"layers": [{"heads": 3}]}, r"Missing key `conformer.layers\[0\].first_neurons`"),
        ({"layers": [NO_HEAD], "num_heads": 3}, r"`conformer.input_dim` must be a multiple .*3"),
        (
            {"layers": [NO_HEAD], "depthwise_conv_kernel_size": 4},
            "`conformer.depthwise_conv_kernel_size` must be odd, found 4",
        ),
    ],
)
def test_sizes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        WavLMSegmentation(tiny_config(), conformer=CONFORMER | changes)
