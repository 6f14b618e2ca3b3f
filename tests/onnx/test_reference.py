"""ONNX files compute what the reference implementation does"""

import os

import golden
import numpy as np
import onnx
import onnx_files
import pytest
import torch

from pyannote_prune.onnx.network import Encoder
from pyannote_prune.onnx.save import make_graph

# all of them take half an hour: ONNX_EXAMPLES=25, for instance, asks for that
ALL = "ONNX_EXAMPLES" in os.environ
FULL_SIZE = ("base_s80_md", "large_s80_md", *(("base", "large") if ALL else ()))
FEW = ("base_all_units", "large_all_units", "base_lost_attention_by_heads")
CASES = [
    *golden.available("tiny_base"),
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in golden.available("tiny_large", *FULL_SIZE)
    ),
]
# one encoder that has lost the attention of a layer, the others take minutes
FIRST = golden.available("masked_vs_pruned/base_lost_attention_by_heads")
PRUNED = [
    name if name in FIRST else pytest.param(name, marks=pytest.mark.slow)
    for name in golden.PRUNED
    # the reference cannot read its own files when the first layer has no attention
    if golden.pruned_config(name)["encoder_use_attention"][0] and (ALL or name.endswith(FEW))
]
ABSENT = "reference numbers are in ../shared, which is absent"

# of hidden states: absolute, plus relative for pre-norm encoders, as in tests/test_golden.py
TOLERANCE = 1e-4


class HiddenStates(torch.nn.Module):
    """All hidden states of an encoder, (batch_size, num_states, num_frames, embed_dim)"""

    def __init__(self, wavlm):
        super().__init__()
        self.encoder = Encoder(wavlm.requires_grad_(False))
        self.eval()

    def forward(self, waveforms):
        return torch.stack(self.encoder(waveforms[:, 0]), dim=1)


def hidden_states(wavlm, folder):
    """Function that computes the hidden states of waveforms with ONNX Runtime"""
    onnx.save(make_graph(HiddenStates(wavlm)), folder / "encoder.onnx")
    file = onnx_files.session(folder / "encoder.onnx")
    return lambda waveforms: [*onnx_files.score(file, waveforms[:, None]).unbind(1)]


def check(found, expected, wavlm):
    relative = TOLERANCE if wavlm.config.norm_first else 0.0
    assert ((found - expected).abs() <= TOLERANCE + relative * expected.abs()).all()


@pytest.mark.skipif(not CASES, reason=ABSENT)
@pytest.mark.parametrize("case", CASES)
def test_released_structures_match_the_reference(tmp_path, case):
    wavlm, model = golden.build(case)
    expected = np.load(golden.FOLDER / case / "expected.npz")
    names = sorted({key.split(".")[0] for key in expected.files})
    assert names
    # encoders alone are compared state by state, models by what comes out at the end
    file = None if model is None else onnx_files.save(model, tmp_path)
    encode = hidden_states(wavlm, tmp_path) if model is None else None
    for name in names:
        waveforms = torch.from_numpy(golden.recipe().waveform(name))
        if file is None:
            found = golden.probe(encode(waveforms))
            check(found, torch.from_numpy(expected[f"{name}.hidden_probe"]), wavlm)
        else:
            log_probs = torch.from_numpy(expected[f"{name}.log_probs"])
            found = onnx_files.score(file, waveforms[:, None])
            assert (found - log_probs).abs().max() < TOLERANCE


@pytest.mark.skipif(not PRUNED, reason=ABSENT)
@pytest.mark.parametrize("case", PRUNED)
def test_encoders_pruned_by_the_reference_match(tmp_path, case):
    wavlm, expected = golden.build_pruned(case)
    encode = hidden_states(wavlm, tmp_path)
    found = golden.probe(encode(torch.from_numpy(golden.recipe().waveform("synthetic_2s"))))
    check(found, torch.from_numpy(expected["pruned.hidden_probe"]), wavlm)
