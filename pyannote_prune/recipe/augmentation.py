"""Augmentation that a recipe describes"""

from __future__ import annotations

from typing import Any

from ..training.augmentation import Mixing, add_noise, one_after_another, reverberate
from .options import AugmentationOptions


def augmentation_options(options: AugmentationOptions) -> dict[str, Any]:
    """Make the arguments of a task that augment its training windows"""
    rooms, noise, mix = options.impulse_responses, options.noise, options.mix
    transforms = []
    if rooms is not None:
        transforms.append(reverberate(rooms.folder, rooms.probability))
    if noise is not None:
        low, high = noise.snr
        transforms.append(add_noise(noise.folder, noise.probability, (low, high)))
    mixing = None if mix is None else Mixing(mix.probability, (mix.snr[0], mix.snr[1]))
    return {"augmentation": one_after_another(transforms), "mixing": mixing}
