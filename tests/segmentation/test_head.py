"""Heads of all kinds, under the laws of the default one"""

import subprocess
import sys

import pytest
import torch
from helpers import CONFORMER, randomize, relative_error, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import heads
from torch import nn
from torchaudio.models import Conformer

from pyannote_prune import WavLMSegmentation, gate, prune, save_checkpoint
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.head import Head, LinearOptions, LSTMOptions
from pyannote_prune.segmentation.specifications import powerset_specifications
from pyannote_prune.wavlm.gates import gates_of

EMBED_DIM = tiny_config().embed_dim

# heads that the models of other projects have
EXAMPLES = {
    "DiariZen": Head(conformer=CONFORMER),
    "SUPlime": Head(
        mixture="softmax",
        projection=False,
        conformer=CONFORMER | {"input_dim": EMBED_DIM},
        linear=LinearOptions(hidden_size=12, num_layers=2),
    ),
    "SSeRiouSS": Head(
        mixture="softmax",
        projection=False,
        lstm=LSTMOptions(hidden_size=10, num_layers=2),
        linear=LinearOptions(hidden_size=12, num_layers=2),
    ),
    "last layer": Head(mixture="last", projection=False, lstm=LSTMOptions(6, 1, False)),
}


def model_with(head: Head, large: bool = False) -> WavLMSegmentation:
    model = WavLMSegmentation(wavlm=tiny_config(large), head=head)
    model.specifications = powerset_specifications(2.0, 3, 2)
    model.setup()
    randomize(model, scale=0.1)
    return model.eval()


@pytest.fixture(params=EXAMPLES)
def model(request):
    return model_with(EXAMPLES[request.param])


@given(head=heads(EMBED_DIM), large=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_gated_model_equals_the_pruned_one(head, large, seed):
    torch.manual_seed(seed)
    gated = gate(model_with(head, large), ("channel", "head", "neuron", "attention"))
    with torch.no_grad():
        for gates in gates_of(gated):
            gates.log_alpha.copy_(3 * torch.randn(gates.num_gates))
    pruned = prune(gated)
    assert pruned.head == head
    waveforms = torch.randn(2, 1, 8000)
    with torch.no_grad():
        assert relative_error(pruned.eval()(waveforms), gated.eval()(waveforms)) < 1e-5


@given(head=heads(EMBED_DIM))
@settings(max_examples=30, deadline=None)
def test_description_comes_back_from_plain_values(head):
    assert Head.from_dict(head.to_dict()) == head


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_saved_model_is_loaded(model, tmp_path, suffix):
    save_checkpoint(model, tmp_path / f"model{suffix}")
    found = load_checkpoint(tmp_path / f"model{suffix}")
    assert found.head == model.head
    assert dict(found.hparams) == dict(model.hparams)
    assert found.state_dict().keys() == model.state_dict().keys()
    waveforms = torch.randn(1, 1, 8000)
    assert torch.equal(found(waveforms), model(waveforms))


def test_default_head_is_saved_as_release_0_1_0_does():
    assert "head" not in model_with(EXAMPLES["DiariZen"]).hparams
    assert model_with(EXAMPLES["DiariZen"]).hparams["conformer"]["input_dim"] == 16
    assert "conformer" not in model_with(EXAMPLES["SUPlime"]).hparams


@pytest.mark.slow
def test_pyannote_loads_all_heads_in_a_new_process(tmp_path):
    waveforms = torch.randn(1, 1, 8000)
    for name, head in EXAMPLES.items():
        model = model_with(head)
        save_checkpoint(model, tmp_path / f"{name}.ckpt")
        torch.save((waveforms, model(waveforms).detach()), tmp_path / f"{name}.pt")
    code = (
        "import sys, torch\nfrom pathlib import Path\nfrom pyannote.audio import Model\n"
        "for path in Path(sys.argv[1]).glob('*.ckpt'):\n"
        "    waveforms, expected = torch.load(path.with_suffix('.pt'))\n"
        "    found = Model.from_pretrained(path).eval()(waveforms)\n"
        "    assert (found - expected).abs().max() < 1e-5, path\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


def test_softmax_weights_states_after_the_first_layer():
    head = EXAMPLES["SUPlime"]
    states, weights = torch.randn(3, 1, 5, 4), torch.tensor([0.0, 1.0])
    expected = (states[1] + torch.e * states[2]) / (1 + torch.e)
    torch.testing.assert_close(head.mix(list(states), weights), expected)
    assert head.initial_weights(2).tolist() == [1, 1]
    assert EXAMPLES["DiariZen"].initial_weights(2).tolist() == pytest.approx([1 / 3] * 3)
    assert EXAMPLES["last layer"].initial_weights(2) is None
    assert torch.equal(EXAMPLES["last layer"].mix(list(states), None), states[2])


def test_modules_are_those_of_torch_and_torchaudio():
    assert isinstance(model_with(EXAMPLES["SSeRiouSS"]).lstm, nn.LSTM)
    assert isinstance(model_with(EXAMPLES["SUPlime"]).conformer, Conformer)
    assert not hasattr(model_with(EXAMPLES["SUPlime"]), "projection")
    assert not hasattr(model_with(EXAMPLES["SSeRiouSS"]), "conformer")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixture": "mean"}, "`head.mixture` must be one of 'sum', 'softmax', 'last', found 'm"),
        ({"lstm": {"hidden_size": 0}}, "`head.lstm.hidden_size` must be an integer, at least 1"),
        ({"lstm": {}, "projection": True}, "`head.projection` must be false with an LSTM"),
        ({"lstm": {}, "conformer": {"num_heads": 2}}, "`head.lstm` must be null when there is a C"),
        ({"linear": {"num_layers": -1}}, "`head.linear.num_layers` must be an integer, at least 0"),
        ({"conformer": {"heads": 3}}, "Unknown key 'heads' in `conformer`"),
        ({"surprise": 1}, "Unknown key `head.surprise`"),
        ("conformer", "`head` must be a dictionary, found 'conformer'"),
    ],
)
def test_heads_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        WavLMSegmentation(wavlm=tiny_config(), head=options)


def test_input_of_the_conformer_is_that_of_wavlm_without_projection():
    head = Head(projection=False, conformer=CONFORMER)
    with pytest.raises(ValueError, match=r"`head.conformer.input_dim` must be 48.*found 16"):
        WavLMSegmentation(wavlm=tiny_config(), head=head)


def test_conformer_or_head_but_not_both():
    with pytest.raises(ValueError, match="`conformer` must be None when `head` is given"):
        WavLMSegmentation(wavlm=tiny_config(), conformer=CONFORMER, head=Head())
