"""Compromises between speed and accuracy"""

import pytest
import yaml
from embeddings import small_wespeaker
from pyannote.audio.sample import SAMPLE_FILE
from typer.testing import CliRunner

from pyannote_prune import DiarizationSettings
from pyannote_prune.cli import app
from pyannote_prune.onnx.engines import find_engine
from pyannote_prune.pipeline import DiarizationPipeline
from pyannote_prune.pipeline.pyannote_repairs import get_embedding
from pyannote_prune.pipeline.speed import SPEEDS, at_speed

AGGLOMERATIVE = DiarizationSettings(
    clustering="AgglomerativeClustering",
    parameters={"method": "centroid", "threshold": 0.7, "min_cluster_size": 12},
)


@pytest.mark.parametrize(
    ("speed", "step", "size"), [("exact", 0.1, 12), ("balanced", 0.15, 8), ("fast", 0.25, 5)]
)
def test_clusters_are_smaller_where_there_are_fewer_windows(speed, step, size):
    found = at_speed(AGGLOMERATIVE, speed)
    assert found.segmentation_step == step
    assert found.parameters == AGGLOMERATIVE.parameters | {"min_cluster_size": size}
    assert AGGLOMERATIVE.parameters["min_cluster_size"] == 12
    assert found.embedding_engine == found.segmentation_engine == "auto"
    bfloat16 = None if speed == "exact" else "bfloat16"
    assert found.embedding_dtype == found.segmentation_dtype == bfloat16
    assert found.embedding_stretch == (None if speed == "exact" else 60.0)


def test_other_parameters_and_sizes_above_zero_are_kept():
    assert at_speed(DiarizationSettings(), "fast").parameters == DiarizationSettings().parameters
    small = DiarizationSettings(
        clustering="AgglomerativeClustering",
        parameters={"method": "centroid", "threshold": 0.7, "min_cluster_size": 1},
    )
    assert at_speed(small, "fast").parameters["min_cluster_size"] == 1


@pytest.mark.filterwarnings("ignore:.*single precision instead")
@pytest.mark.parametrize("speed", SPEEDS)
def test_pipeline_has_the_options_that_it_is_not_given(arguments, speed):
    del arguments["segmentation_step"]
    arguments["embedding"] = small_wespeaker()
    found = DiarizationPipeline(**arguments, speed=speed)
    assert found.segmentation_step == SPEEDS[speed].get("segmentation_step", 0.1)
    assert found.segmentation_dtype == SPEEDS[speed].get("segmentation_dtype")
    assert found.embedding_stretch == SPEEDS[speed].get("embedding_stretch")
    assert get_embedding(found)._trunk.engine == find_engine()
    given = {"segmentation_step": 0.2, "embedding_engine": "torch"}
    found = DiarizationPipeline(**arguments, **given, speed=speed)
    assert found.segmentation_step == 0.2
    assert get_embedding(found)._trunk is None


def test_exact_gives_the_turns_of_pytorch(arguments, onnx_file):
    del arguments["plda"]
    arguments |= {"embedding": small_wespeaker(), "clustering": "AgglomerativeClustering"}
    parameters = {
        "segmentation": {"min_duration_off": 0.0},
        "clustering": {"method": "centroid", "min_cluster_size": 2, "threshold": 0.7},
    }
    turns = []
    for options in ({}, {"segmentation": onnx_file, "speed": "exact"}):
        pipeline = DiarizationPipeline(**arguments | options).instantiate(parameters)
        turns.append(pipeline(SAMPLE_FILE).speaker_diarization.to_rttm())
    assert len(turns[0].splitlines()) > 5
    assert turns[0] == turns[1]


def test_folder_is_exported_at_a_speed(checkpoint, parts, tmp_path):
    command = ["export", checkpoint, tmp_path / "it", "--parts", parts, "--speed", "fast"]
    result = CliRunner().invoke(app, [*map(str, command)])
    assert result.exit_code == 0, result.output
    params = yaml.safe_load((tmp_path / "it" / "config.yaml").read_text(encoding="utf-8"))
    found = params["pipeline"]["params"]
    assert {key: found[key] for key in SPEEDS["fast"]} == SPEEDS["fast"]


def test_unknown_speeds_are_refused(arguments):
    message = r"`speed` must be one of 'exact', .*, found 'balance' \(did you mean 'balanced'"
    with pytest.raises(ValueError, match=message):
        DiarizationPipeline(**arguments, speed="balance")
    with pytest.raises(ValueError, match=message):
        at_speed(AGGLOMERATIVE, "balance")
