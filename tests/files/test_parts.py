"""Parts share a list"""

import numpy as np
import pytest

from pyannote_prune.files.parts import Part


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("length", [0, 1, 6, 7, 100])
def test_parts_are_disjoint_balanced_and_complete(count, length):
    items = [*np.random.default_rng(0).permutation(length)]
    parts = [Part(index, count).of(items) for index in range(1, count + 1)]
    assert sorted(item for part in parts for item in part) == [*range(length)]
    sizes = {len(part) for part in parts}
    assert max(sizes) - min(sizes) <= 1


def test_part_is_read_as_it_is_printed():
    assert Part.parse("3/16") == Part(3, 16)
    assert Part.parse(str(Part(16, 16))) == Part(16, 16)


@pytest.mark.parametrize(
    "text", ["0/4", "5/4", "a/b", "3", "1/0", "-1/4", "1/4/2", "1 / 4", "1.0/4", "²/4", "", "1/4\n"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="`--part` must be k/n with k from 1 to n, found "):
        Part.parse(text)
