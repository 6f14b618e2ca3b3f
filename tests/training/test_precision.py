"""Mixed precision, and windows that are out of the ordinary"""

import lightning
import pytest
import torch
from helpers import KINDS, LARGE_STYLE, QUIET, tiny_config, tiny_model, tiny_trainee

from pyannote_prune import gate
from pyannote_prune.training.non_finite import SkipNonFinite
from pyannote_prune.wavlm.gates import gates_of

OPTIONS = {"max_speakers_per_chunk": 3, "num_workers": 0}
ODD = {
    "silence": lambda num_samples: torch.zeros(num_samples),
    "clipped": lambda num_samples: torch.randn(num_samples).sign(),
    "faint": lambda num_samples: 1e-6 * torch.randn(num_samples),
    "constant": lambda num_samples: torch.full((num_samples,), 0.5),
}


class Odd(lightning.Callback):
    """Replace the first waveform of each batch"""

    def __init__(self, kind: str | None):
        self.kind, self.losses, self.dtypes = kind, [], set()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if self.kind is not None:
            batch["X"][0, 0] = ODD[self.kind](batch["X"].shape[-1])

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))


def fit(protocol, pruning, large=False, kind=None, duration=2.0, batch_size=2, precision="32-true"):
    lightning.seed_everything(0, verbose=False)
    options = OPTIONS | {"duration": duration, "batch_size": batch_size}
    model = tiny_trainee(protocol, pruning, tiny_model(tiny_config(large), duration), **options)
    odd, skip = Odd(kind), SkipNonFinite(0)
    trainer = lightning.Trainer(
        precision=precision,
        max_steps=4,
        limit_val_batches=1,
        callbacks=[odd, skip],
        enable_checkpointing=False,
        **QUIET,
    )
    trainer.fit(model.train())
    assert len(odd.losses) == 4
    assert torch.tensor(odd.losses).isfinite().all()
    assert all(value.isfinite().all() for value in model.state_dict().values())
    for gates in gates_of(model):
        soft = gates.train()()
        assert 0 <= soft.min() <= soft.max() <= 1
    return model


@pytest.mark.parametrize("pruning", [False, True], ids=["diarization", "pruning"])
@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("kind", ODD)
def test_odd_waveforms_give_finite_losses(protocol, pruning, large, kind):
    fit(protocol, pruning, large, kind)


@pytest.mark.parametrize("pruning", KINDS, ids=KINDS.get)
@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_bfloat16_trains(protocol, pruning, large):
    model = fit(protocol, pruning, large, precision="bf16-mixed")
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert "forward" not in vars(model)


@pytest.mark.parametrize("pruning", [False, True], ids=["diarization", "pruning"])
@pytest.mark.parametrize(("duration", "batch_size"), [(1.0, 1), (4.0, 1), (1.0, 3)])
def test_short_windows_and_single_ones_train(protocol, pruning, duration, batch_size):
    fit(protocol, pruning, duration=duration, batch_size=batch_size)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize(
    ("kind", "duration"),
    [*((kind, 1.0) for kind in ODD), pytest.param(None, 60.0, marks=pytest.mark.slow)],
)
def test_autocast_gives_finite_outputs_and_gradients(dtype, large, kind, duration):
    num_samples = int(duration * 16_000)
    waveform = ODD[kind](num_samples) if kind else torch.randn(num_samples)
    teacher = tiny_model(tiny_config(**(LARGE_STYLE if large else {})), duration)
    for model in (teacher.train(), gate(teacher).train()):
        with torch.autocast("cpu", dtype):
            outputs = model(waveform[None, None])
        assert outputs.isfinite().all()
        outputs.float().square().mean().backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert gradients
        # in float16, they overflow where normalizations see nothing: Lightning scales losses, and
        # leaves such steps out
        if dtype == torch.bfloat16:
            assert all(gradient.isfinite().all() for gradient in gradients)
