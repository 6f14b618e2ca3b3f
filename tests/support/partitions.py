"""Comparison of clusters"""

import numpy as np


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether clusters are the same ones, however they are numbered"""
    pairs = {*zip(one.ravel().tolist(), other.ravel().tolist(), strict=True)}
    return len(pairs) == len(np.unique(one)) == len(np.unique(other))
