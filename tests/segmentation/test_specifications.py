"""Specifications in plain numbers and strings"""

import json

import pytest
from hypothesis import given
from pyannote.audio.core.task import Problem, Resolution, Specifications
from strategies import specifications

from pyannote_prune.segmentation.specifications import (
    powerset_specifications,
    specifications_from_dict,
    specifications_to_dict,
)


@given(specifications())
def test_what_is_written_as_json_is_read_back(written):
    read = specifications_from_dict(json.loads(json.dumps(specifications_to_dict(written))))
    assert read == written
    assert isinstance(read.warm_up, tuple)
    assert isinstance(read.classes, list)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem": "REPRESENTATION"}, "`specifications.problem` must be one of 'BINARY"),
        ({"problem": 1}, "`specifications.problem` must be one of"),
        ({"resolution": "FRAMES"}, "`specifications.resolution` must be one of .*did you mean 'FR"),
        ({"duration": 0}, "`specifications.duration` must be a number, above 0, found 0"),
        ({"duration": None}, "`specifications.duration` must be .* found nothing"),
        ({"duration": float("nan")}, "`specifications.duration` must be"),
        ({"classes": []}, "`specifications.classes` must be a list"),
        ({"classes": ["a", "a"]}, "`specifications.classes` must be a list of different values"),
        ({"classes": "abc"}, "`specifications.classes` must be a list"),
        ({"warm_up": {"left": -1}}, "`specifications.warm_up.left` must be .* at least 0"),
        ({"powerset_max_classes": 4}, r"at most the number of classes \(3\), found 4"),
        ({"powerset_max_classes": True}, "`specifications.powerset_max_classes` must be"),
        ({"problem": "BINARY_CLASSIFICATION"}, "must be null unless `problem` is 'MONO_LABEL"),
        ({"permutation_invariant": 1}, "`specifications.permutation_invariant` must be true or"),
        ({"durations": 1}, "Unknown key `specifications.durations` .did you mean 'duration'"),
    ],
)
def test_impossible_values_are_named(change, message):
    plain = specifications_to_dict(powerset_specifications(2.0, 3, 2))
    with pytest.raises(ValueError, match=message):
        specifications_from_dict(plain | change)


@pytest.mark.parametrize("plain", [None, 3, "x", [], [1]])
def test_anything_but_a_dictionary_is_refused(plain):
    with pytest.raises(ValueError, match="`specifications` must be a dictionary"):
        specifications_from_dict(plain)


def test_specifications_of_several_tasks_or_of_embeddings_are_refused():
    with pytest.raises(
        ValueError, match="must be `Specifications` of pyannote.audio, for one task"
    ):
        specifications_to_dict((powerset_specifications(2.0, 3, 2),) * 2)
    embedding = Specifications(Problem.REPRESENTATION, Resolution.CHUNK, duration=2.0)
    with pytest.raises(ValueError, match=r"`specifications.\w+` must be"):
        specifications_to_dict(embedding)
    with pytest.raises(ValueError, match="`specifications.warm_up` must be two durations"):
        specifications_to_dict(
            Specifications(Problem.BINARY_CLASSIFICATION, Resolution.FRAME, 2.0, warm_up=3.0)
        )
