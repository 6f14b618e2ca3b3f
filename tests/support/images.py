"""Images of figures"""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.image import imread

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read(path) -> np.ndarray:
    """(height, width, 3) image, after checks that any figure must pass"""
    assert path.read_bytes().startswith(SIGNATURE)
    image = imread(path)[..., :3]
    height, width, _ = image.shape
    assert 300 <= height <= 900
    assert 600 <= width <= 2200
    assert image.min() < 0.5 < image.max()
    return image


def area(image, color) -> int:
    """Number of pixels of this very color"""
    return int((np.abs(image - np.array(to_rgb(color))).max(axis=-1) < 1e-3).sum())
