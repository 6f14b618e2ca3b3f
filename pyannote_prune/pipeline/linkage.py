"""Hierarchical clustering in memory proportional to the number of embeddings"""

from __future__ import annotations

import numpy as np
from scipy.cluster import hierarchy

try:
    import fastcluster
except ImportError:  # it has no wheels for Python 3.14 yet: same results, more memory
    fastcluster = None

# embeddings whose distances SciPy may keep: 34 MiB at most, in about half of the time
FEW = 2_000

# by method: metrics whose distances are computed when needed, from embeddings or centroids
FROM_VECTORS = {
    "centroid": ("euclidean",),
    "median": ("euclidean",),
    "ward": ("euclidean",),
    "single": ("euclidean", "cosine"),
}


def linkage(embeddings: np.ndarray, method: str, metric: str) -> np.ndarray:
    """Same as `scipy.cluster.hierarchy.linkage`, which keeps the distances of all pairs

    With the methods of `FROM_VECTORS`, more than `FEW` embeddings take 16 bytes for each of their
    values. The dendrogram is the same, distances to rounding, unless distances are equal: SciPy and
    fastcluster choose the next pair in another order. Equal embeddings are the case that occurs,
    when a recording repeats itself. Cuts above distance 0 give the same clusters then, which may
    be numbered otherwise; at distance 0, which of the equal embeddings are together is arbitrary
    with both. Other methods need the distances of all pairs: 8 bytes each, twice.

    Parameters
    ----------
    embeddings : (num_embeddings, dimension) np.ndarray
        At least two.
    method, metric : str
        See `scipy.cluster.hierarchy.linkage`.

    Returns
    -------
    dendrogram : (num_embeddings - 1, 4) np.ndarray
        Merged clusters, their distance, and the number of embeddings in both.

    Raises
    ------
    ValueError
        If a value is not finite, which neither library checks in embeddings themselves.
    """
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise ValueError(
            "`embeddings` must be finite, and not zero where they are normalized, found "
            f"{np.count_nonzero(~finite)} that are not among {len(finite)} (first: number "
            f"{np.argmin(finite)}): set them to NaN before clustering, which leaves those out."
        )
    small = len(embeddings) <= FEW
    if small or fastcluster is None or metric not in FROM_VECTORS.get(method, ()):
        return hierarchy.linkage(embeddings, method=method, metric=metric)
    dendrogram = fastcluster.linkage_vector(embeddings, method=method, metric=metric)
    # rounding: cosine distances of equal embeddings
    np.maximum(dendrogram[:, 2], 0, out=dendrogram[:, 2])
    return dendrogram
