"""At inference, the fast path is the plain one"""

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from helpers import randomize, relative_error, tiny_config, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import configs
from torch.nn.utils.parametrize import register_parametrization

from pyannote_prune import WavLM, WavLMConfig, gate
from pyannote_prune.wavlm.config import LayerConfig
from pyannote_prune.wavlm.inference.extractor import FrozenExtractor
from pyannote_prune.wavlm.inference.layer import FrozenAttention
from pyannote_prune.wavlm.inference.position import FrozenPosition
from pyannote_prune.wavlm.position import PositionalConvolution

# relative to the peak: rounding, in double and in single precision
ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-5}


def encoder(config: WavLMConfig, dtype: torch.dtype = torch.float64) -> WavLM:
    wavlm = WavLM(config)
    randomize(wavlm)
    return wavlm.to(dtype).eval()


def both(wavlm: WavLM, waveforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of the plain path, and of the fast one"""
    plain = torch.stack(wavlm(waveforms)).detach()
    assert wavlm._frozen is None
    with torch.inference_mode():
        fast = torch.stack(wavlm(waveforms))
    assert wavlm._frozen is not None
    return plain, fast


@settings(max_examples=150, deadline=None)
@given(configs(), st.integers(1, 3), st.integers(400, 3000))
def test_any_structure_computes_the_same(config, batch_size, num_samples):
    wavlm = encoder(config)
    waveforms = torch.randn(batch_size, num_samples, dtype=torch.float64)
    plain, fast = both(wavlm, waveforms)
    assert relative_error(fast, plain) < ROUNDING[torch.float64]


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 11), min_size=1), st.sampled_from([8, 16, 64]))
def test_queries_are_aligned(heads, head_dim):
    """Whatever heads are left: attention on GPU refuses queries that are not"""
    layers = (LayerConfig(tuple(sorted(heads)), 4),)
    config = tiny_config(embed_dim=12 * head_dim, num_heads=12)
    attention = WavLM(replace(config, layers=layers)).layers[0].attention
    seen = []

    def attend(query, *_, **__):
        seen.append(query)
        return torch.zeros_like(query)

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(F, "scaled_dot_product_attention", attend)
        frozen = FrozenAttention(attention, torch.float32)
        frozen(torch.randn(2, 7, config.embed_dim), torch.zeros(12, 7, 7))
    batch, head, frame, _ = seen[0].stride()
    assert batch % 8 == head % 8 == frame % 8 == 0


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_single_precision_with_long_kernels_and_windows(large):
    config = tiny_config(large, position_kernel=64)
    waveforms = 0.1 * torch.randn(2, 80_000)
    plain, fast = both(encoder(config, torch.float32), waveforms)
    assert relative_error(fast, plain) < ROUNDING[torch.float32]


@settings(max_examples=100, deadline=None)
@given(st.integers(32, 70), st.sampled_from([1, 2, 4]), st.integers(1, 3), st.integers(1, 300))
def test_fourier_transforms_give_the_convolution(kernel, groups, batch_size, num_frames):
    config = tiny_config(position_kernel=kernel, position_groups=groups)
    position = PositionalConvolution(config).double()
    randomize(position)
    hidden = torch.randn(batch_size, num_frames, config.embed_dim, dtype=torch.float64)
    with torch.no_grad():
        frozen, expected = FrozenPosition(position, fourier=True), position(hidden)
        assert frozen.fourier
        assert relative_error(frozen(hidden), expected) < ROUNDING[torch.float64]
        plain = FrozenPosition(position, fourier=False)
        assert relative_error(plain(hidden), expected) < ROUNDING[torch.float64]


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_convolutions_of_other_devices_give_the_same(large):
    wavlm, waveforms = encoder(tiny_config(large)), torch.randn(3, 8000, dtype=torch.float64)
    with torch.no_grad():
        extractor = FrozenExtractor(wavlm.extractor, torch.float64)
        products = extractor(waveforms)
        extractor.convolutions = []
        assert relative_error(products, extractor(waveforms)) < ROUNDING[torch.float64]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["base", "base-s80-md"])
def test_gpu_computes_the_same(name):
    wavlm, waveforms = encoder(WavLMConfig.preset(name), torch.float32), torch.randn(2, 80_000)
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        expected = torch.stack(wavlm(waveforms))
        found = torch.stack(copy.deepcopy(wavlm).cuda()(waveforms.cuda())).cpu()
    assert relative_error(found, expected) < ROUNDING[torch.float32]


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("waveform", [0.0, 0.5, 1e-4, 1e4])
def test_constant_and_faint_and_loud_waveforms(large, waveform):
    """Statistics of the first convolution do not lose their digits"""
    wavlm = encoder(tiny_config(large), torch.float32)
    silence = torch.full((1, 8000), waveform)
    for waveforms in (silence, silence + 0.01 * waveform * torch.randn(1, 8000)):
        plain, fast = both(wavlm.train().eval(), waveforms)
        assert fast.isfinite().all()
        # what is left of a constant is rounding of the plain path, which normalization amplifies
        if waveforms is not silence:
            assert relative_error(fast, plain) < 1e-3


def change_in_place(wavlm: WavLM):
    with torch.no_grad():
        wavlm.layers[0].attention.query.weight.mul_(2)


def load_weights(wavlm: WavLM):
    wavlm.load_state_dict({key: 1.5 * value for key, value in wavlm.state_dict().items()})


def take_a_step(wavlm: WavLM):
    wavlm.train()
    optimizer = torch.optim.AdamW(wavlm.parameters(), lr=0.1)
    sum(hidden.square().mean() for hidden in wavlm(torch.randn(1, 2000))).backward()
    optimizer.step()
    wavlm.eval()


def average_weights(wavlm: WavLM):
    """As common libraries do it: torch keeps no version of what happens to `.data`"""
    for weight in wavlm.parameters():
        weight.data.copy_(0.5 * weight.data + 0.1)


def change_one_weight_behind_the_back(wavlm: WavLM):
    wavlm.layers[0].attention.query.weight.data.mul_(2)


def assign_data(wavlm: WavLM):
    weight = wavlm.layers[0].attention.query.weight
    weight.data = 2 * weight.data


def change_a_few_values_behind_the_back(wavlm: WavLM):
    """Which nothing can see: there is a method to say so"""
    wavlm.layers[0].attention.query.weight.data[1].mul_(9)
    wavlm.refresh()


def set_evaluation_mode(wavlm: WavLM):
    wavlm.layers[0].attention.query.weight.data[1].mul_(9)
    wavlm.eval()


def replace_weight(wavlm: WavLM):
    wavlm.norm.weight = torch.nn.Parameter(2 * wavlm.norm.weight.detach())


@pytest.mark.parametrize(
    "change",
    [
        change_in_place,
        load_weights,
        take_a_step,
        average_weights,
        change_one_weight_behind_the_back,
        assign_data,
        change_a_few_values_behind_the_back,
        set_evaluation_mode,
        replace_weight,
    ],
)
@pytest.mark.parametrize("inference", [False, True], ids=["made as usual", "in inference mode"])
def test_new_weights_are_never_ignored(change, inference):
    if inference and change in (change_in_place, take_a_step):
        pytest.skip("torch refuses that itself")
    with torch.inference_mode(inference):
        wavlm = encoder(tiny_config(), torch.float32)
    waveforms = torch.randn(1, 4000)
    with torch.inference_mode():
        before = torch.stack(wavlm(waveforms))
    with torch.inference_mode(inference):
        change(wavlm)
    with torch.inference_mode():
        after = torch.stack(wavlm(waveforms))
    assert relative_error(after, before) > 1e-3
    plain = copy.deepcopy(wavlm)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(WavLM, "_can_freeze", lambda self: False)
        assert relative_error(after, torch.stack(plain(waveforms))) < 1e-5


class Adapter(torch.nn.Module):
    """What PEFT puts in the place of a linear layer"""

    def __init__(self, base: torch.nn.Linear):
        super().__init__()
        self.base = base
        self.down = torch.nn.Parameter(torch.randn(2, base.in_features))
        self.up = torch.nn.Parameter(torch.randn(base.out_features, 2))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.base(inputs) + inputs @ self.down.T @ self.up.T

    @property
    def weight(self) -> torch.Tensor:
        # adapters pass on attributes of what they wrap
        return self.base.weight

    @property
    def bias(self) -> torch.Tensor:
        return self.base.bias


class Halved(torch.nn.Module):
    """Parametrization of a weight"""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 0.5 * weight


def add_adapter(wavlm: WavLM):
    attention = wavlm.layers[0].attention
    attention.query = Adapter(attention.query)


def quantize(wavlm: WavLM):
    torch.ao.quantization.quantize_dynamic(wavlm, {torch.nn.Linear}, torch.qint8, inplace=True)


def parametrize(wavlm: WavLM):
    register_parametrization(wavlm.layers[0].feed_forward.input, "weight", Halved())


def replace_forward(wavlm: WavLM):
    linear = wavlm.layers[1].feed_forward.output
    linear.forward = lambda inputs: 2 * F.linear(inputs, linear.weight, linear.bias)


def subclass(wavlm: WavLM):
    class Doubled(torch.nn.Linear):
        """Another linear layer"""

        def forward(self, inputs):
            return 2 * super().forward(inputs)

    wavlm.layers[0].attention.output.__class__ = Doubled


def drop_at_random(wavlm: WavLM):
    """Monte Carlo dropout: one layer in training mode"""
    for layer in wavlm.layers:
        layer.dropout.p = 1.0
        layer.dropout.train()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    "change", [add_adapter, quantize, parametrize, replace_forward, subclass, drop_at_random]
)
def test_layers_that_are_not_ours_run_themselves(change):
    wavlm, waveforms = encoder(tiny_config(), torch.float32), 0.1 * torch.randn(1, 4000)
    with torch.inference_mode():
        before = torch.stack(wavlm(waveforms))
        change(wavlm)
        after = torch.stack(wavlm(waveforms))
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(WavLM, "_can_freeze", lambda self: False)
        plain = torch.stack(wavlm(waveforms))
    assert relative_error(plain, before) > 1e-3
    assert torch.equal(after, plain)


def test_threads_with_windows_of_different_lengths():
    """One encoder: each thread gets what it would have got alone"""
    wavlm = encoder(tiny_config(), torch.float32)
    windows = [torch.randn(1, 400 + 320 * i) for i in range(8)]
    with torch.inference_mode():
        expected = [wavlm(window)[-1] for window in windows]

    def run(turn: int) -> int:
        with torch.inference_mode():
            found = wavlm(windows[turn % 8])[-1]
        return torch.equal(found, expected[turn % 8])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(2000)))


def test_another_precision_is_not_ignored():
    wavlm, waveforms = encoder(tiny_config(), torch.float32), torch.randn(1, 4000)
    with torch.inference_mode():
        single = wavlm(waveforms)[-1]
        wavlm.inference_dtype = torch.bfloat16
        half = wavlm(waveforms)[-1]
        assert half.dtype == torch.float32
        assert 1e-4 < relative_error(half, single) < 0.05
        wavlm.double()
        wavlm.inference_dtype = None
        assert wavlm(waveforms.double())[-1].dtype == torch.float64


def test_training_gradients_gates_autocast_and_hooks_take_the_plain_path():
    waveforms = torch.randn(1, 4000)
    wavlm = encoder(tiny_config(), torch.float32)
    assert wavlm(waveforms)[-1].requires_grad
    with torch.no_grad():
        wavlm.train()(waveforms)
        wavlm.eval()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            wavlm(waveforms)
        gated = gate(wavlm)
        gated(waveforms)
        seen = []
        handle = wavlm.layers[0].register_forward_hook(lambda *arguments: seen.append(arguments))
        wavlm(waveforms)
        handle.remove()
    assert len(seen) == 1
    assert wavlm._frozen is gated._frozen is None


def test_copies_hold_weights_alone():
    model, waveforms = tiny_model(), torch.randn(1, 1, 8000)
    keys = set(model.state_dict())
    with torch.inference_mode():
        expected = model(waveforms)
        assert model.wavlm._frozen is not None
        other = copy.deepcopy(model)
        assert other.wavlm._frozen is None
        assert torch.equal(other(waveforms), expected)
    assert set(model.state_dict()) == keys
    model.wavlm.train()
    assert model.wavlm._frozen is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["base-s80-md", "large-s80-md"])
def test_published_structures(name):
    wavlm = encoder(WavLMConfig.preset(name), torch.float32)
    plain, fast = both(wavlm, 0.1 * torch.randn(1, 64_000))
    for one, other in zip(fast, plain, strict=True):
        assert relative_error(one, other) < ROUNDING[torch.float32]
