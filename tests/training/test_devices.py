"""Devices that a machine does not have are named"""

import pytest
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator

from pyannote_prune.training.devices import accelerators, world_size

HAS_GPU = CUDAAccelerator.is_available() or MPSAccelerator.is_available()


def test_processes_are_counted():
    assert world_size({"accelerator": "cpu", "devices": 1}) == 1
    assert world_size({"accelerator": "cpu", "devices": 2, "strategy": "ddp"}) == 2


@pytest.mark.skipif(HAS_GPU, reason="there is one")
@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "mps", "tpu"])
def test_accelerator_that_is_not_there_is_named(accelerator):
    message = r"`trainer.accelerator` must be one of .* this machine \('auto', 'cpu'\), found "
    with pytest.raises(ValueError, match=f"{message}'{accelerator}'"):
        world_size({"accelerator": accelerator, "devices": 1})


def test_devices_that_are_not_there_are_named():
    with pytest.raises(
        ValueError,
        match="`trainer` must be possible .* found accelerator: cpu, devices: 0,1. Lightning says",
    ):
        world_size({"accelerator": "cpu", "devices": "0,1"})


def test_cpu_is_always_there():
    assert {"auto", "cpu"} <= {*accelerators()}
    assert ("gpu" in accelerators()) == HAS_GPU
