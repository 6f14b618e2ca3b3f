"""The standard pipeline, and ours"""

import copy

import numpy as np
import pytest
import torch
from compressed import write_conversation
from embeddings import small_wespeaker
from helpers import tiny_config
from parameters import VBX
from pyannote.audio import Audio, pipelines
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.core import Annotation
from scipy.ndimage import median_filter

from pyannote_prune import WavLMSegmentation, save_checkpoint
from pyannote_prune.pipeline.clustering import CLUSTERINGS
from pyannote_prune.pipeline.diarization import (
    DiarizationPipeline,
    median_over_frames,
)
from pyannote_prune.pipeline.embedding import SharedFramesEmbedding

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


def test_standard_pipeline_runs_with_a_checkpoint(arguments):
    pipeline = pipelines.SpeakerDiarization(**arguments).instantiate(VBX)
    assert isinstance(pipeline._segmentation.model, WavLMSegmentation)
    diarization = pipeline(SAMPLE_FILE).speaker_diarization
    assert isinstance(diarization, Annotation)
    assert diarization.get_timeline().duration() > 0


def test_arguments_have_the_same_places_as_in_the_standard_pipeline(arguments):
    ours = DiarizationPipeline(**arguments).instantiate(VBX)
    stock = pipelines.SpeakerDiarization(**arguments).instantiate(VBX)
    file, places = {"audio": SAMPLE_FILE["audio"]}, (None, None, None, lambda *_, **__: None)
    for found, expected in (
        (ours(dict(file), True), stock(dict(file), True)),  # preloaded
        (ours.apply(SAMPLE_FILE, *places), stock.apply(SAMPLE_FILE, *places)),  # with a hook
    ):
        assert found.speaker_diarization == expected.speaker_diarization


def test_without_options_it_is_the_standard_pipeline(arguments):
    ours = DiarizationPipeline(**arguments).instantiate(VBX)
    stock = pipelines.SpeakerDiarization(**arguments).instantiate(VBX)
    found, expected = ours(SAMPLE_FILE), stock(SAMPLE_FILE)
    assert found.speaker_diarization == expected.speaker_diarization
    np.testing.assert_allclose(found.speaker_embeddings, expected.speaker_embeddings, rtol=1e-4)


def test_shared_frames_do_not_change_the_output(arguments):
    arguments |= {"embedding": small_wespeaker(), "clustering": "AgglomerativeClustering"}
    parameters = {
        "segmentation": {"min_duration_off": 0.0},
        "clustering": {"method": "centroid", "min_cluster_size": 2, "threshold": 0.01},
    }
    shared = DiarizationPipeline(**arguments)
    assert isinstance(shared._embedding, SharedFramesEmbedding)
    assert shared._embedding in shared._inferences.values()
    apart = DiarizationPipeline(**arguments, share_frames=False)
    assert not isinstance(apart._embedding, SharedFramesEmbedding)
    found, expected = (
        pipeline.instantiate(parameters)(SAMPLE_FILE) for pipeline in (shared, apart)
    )
    assert found.speaker_diarization == expected.speaker_diarization
    assert len(found.speaker_diarization.labels()) > 1
    np.testing.assert_allclose(found.speaker_embeddings, expected.speaker_embeddings, atol=1e-4)


def test_oracle_clustering_needs_no_embedding(arguments):
    pipeline = DiarizationPipeline(**arguments, clustering="OracleClustering")
    pipeline.instantiate({"segmentation": {"min_duration_off": 0.0}})
    output = pipeline(dict(SAMPLE_FILE))
    reference = set(SAMPLE_FILE["annotation"].labels())
    assert set(output.speaker_diarization.labels()) <= reference
    assert output.speaker_diarization.get_timeline().duration() > 0
    assert output.speaker_embeddings is None


@pytest.mark.parametrize("options", [{}, {"num_speakers": 2}])
def test_oracle_clustering_needs_a_reference(arguments, tmp_path, options):
    pipeline = DiarizationPipeline(**arguments, clustering="OracleClustering")
    pipeline.instantiate(pipeline.default_parameters())
    message = r"OracleClustering needs the reference \(\"annotation\"\) of 'talk', found none: exp"
    with pytest.raises(ValueError, match=message):
        pipeline(write_conversation(tmp_path), **options)


def test_oracle_clustering_needs_speakers(arguments):
    pipeline = DiarizationPipeline(**arguments, clustering="OracleClustering")
    pipeline.instantiate(pipeline.default_parameters())
    file = dict(SAMPLE_FILE) | {"annotation": Annotation()}
    with pytest.raises(ValueError, match=r"needs speaker turns in the reference .* of 'sample'"):
        pipeline(file)


def test_oracle_clustering_of_a_model_that_hears_nothing(arguments, tmp_path):
    model = WavLMSegmentation.from_pretrained(arguments["segmentation"])
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias[0] = 10.0
    save_checkpoint(model, tmp_path / "deaf.ckpt")
    arguments |= {"segmentation": str(tmp_path / "deaf.ckpt"), "clustering": "OracleClustering"}
    pipeline = DiarizationPipeline(**arguments)
    pipeline.instantiate({"segmentation": {"min_duration_off": 0.0}})
    assert not pipeline(dict(SAMPLE_FILE)).speaker_diarization


def test_median_filter_is_that_of_each_window_and_speaker():
    rng = np.random.default_rng(0)
    segmentations = (rng.random((3, 50, 2)) < 0.5).astype(np.float32)
    found = median_over_frames(segmentations, 11)
    assert not np.array_equal(found, segmentations)
    for chunk, speaker in np.ndindex(3, 2):
        one = segmentations[chunk, :, speaker]
        mirrored = np.concatenate([one[4::-1], one, one[:-6:-1]])
        expected = [np.median(mirrored[i : i + 11]) for i in range(50)]
        np.testing.assert_array_equal(found[chunk, :, speaker], expected)
        np.testing.assert_array_equal(median_filter(one, size=11, mode="reflect"), expected)


def test_median_filter_is_applied_to_segmentations(arguments):
    plain = DiarizationPipeline(**arguments).instantiate(VBX)
    filtered = DiarizationPipeline(**arguments, median_filter=11).instantiate(VBX)
    before, after = (p.get_segmentations(SAMPLE_FILE) for p in (plain, filtered))
    assert not np.array_equal(before.data, after.data)
    np.testing.assert_array_equal(after.data, median_over_frames(before.data, 11))
    assert after.sliding_window.step == before.sliding_window.step
    assert isinstance(filtered(SAMPLE_FILE).speaker_diarization, Annotation)


def test_bounds_hold_unless_the_number_of_speakers_is_given(arguments, monkeypatch):
    received = []
    monkeypatch.setattr(
        pipelines.SpeakerDiarization,
        "apply",
        lambda self, file, **kwargs: (
            received.append([kwargs[k] for k in ("num_speakers", "min_speakers", "max_speakers")])
            or Annotation()
        ),
    )
    pipeline = DiarizationPipeline(**arguments, min_speakers=2, max_speakers=20)
    pipeline.instantiate(VBX)
    pipeline(SAMPLE_FILE)
    pipeline(SAMPLE_FILE, num_speakers=25)
    pipeline(SAMPLE_FILE, min_speakers=21)
    assert received == [[None, 2, 20], [25, None, None], [None, 21, None]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"median_filter": 10}, "`median_filter` must be an odd number of frames, found 10"),
        ({"median_filter": 0}, "`median_filter` must be an odd number"),
        ({"median_filter": 2.5}, "`median_filter` must be an odd number"),
        ({"min_speakers": 3, "max_speakers": 2}, "`min_speakers` must be positive and at most"),
        ({"min_speakers": -1}, "`min_speakers` must be positive"),
        ({"segmentation_step": 0}, "`segmentation_step` must be a share of windows, .*found 0"),
        ({"segmentation_step": -0.1}, "`segmentation_step` must be a share of windows"),
        ({"segmentation_step": 1.5}, "`segmentation_step` must be a share of windows"),
        ({"segmentation_dtype": "int8"}, "`segmentation_dtype` must be 'bfloat16' or None"),
    ],
)
def test_impossible_options_are_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        DiarizationPipeline(**arguments | options)


def test_median_filter_needs_a_powerset_model(arguments):
    model = WavLMSegmentation.from_pretrained(arguments["segmentation"])
    specifications = model.specifications
    specifications.powerset_max_classes = None
    del specifications.powerset
    model.setup()
    arguments["segmentation"] = model
    with pytest.raises(ValueError, match="`median_filter` must be 1 with this `segmentation`"):
        DiarizationPipeline(**arguments, median_filter=11)


def test_broken_checkpoint_does_not_run_on_random_weights(arguments, tmp_path):
    content = torch.load(arguments["segmentation"], weights_only=True)
    content["state_dict"] = {f"model.{k}": v for k, v in content["state_dict"].items()}
    torch.save(content, tmp_path / "broken.ckpt")
    arguments["segmentation"] = str(tmp_path / "broken.ckpt")
    with pytest.raises(ValueError, match="missing: layer_weights"):
        pipelines.SpeakerDiarization(**arguments)


def test_wider_model_gives_another_answer(arguments):
    """The checks above compare answers: they depend on the model"""
    torch.manual_seed(5)
    model = WavLMSegmentation.from_pretrained(arguments["segmentation"])
    other = WavLMSegmentation(wavlm=tiny_config(large=True), conformer=model.hparams.conformer)
    other.specifications = model.specifications
    other.setup()
    answers = []
    for segmentation in (model, other):
        pipeline = pipelines.SpeakerDiarization(**(arguments | {"segmentation": segmentation}))
        answers.append(pipeline.instantiate(VBX)(SAMPLE_FILE).speaker_diarization)
    assert answers[0] != answers[1]


@pytest.mark.parametrize("clustering", ["VBxClustering", "AgglomerativeClustering"])
def test_clustering_has_the_options_of_the_pipeline(arguments, clustering):
    options = {"min_clean_ratio": 0.1, "constrained_assignment": True, "clustering": clustering}
    plain = DiarizationPipeline(**arguments, clustering=clustering)
    pipeline = DiarizationPipeline(**arguments, **options)
    # of this package, with the rules of pyannote.audio unless others are asked for
    assert type(plain.clustering) is type(pipeline.clustering) is CLUSTERINGS[clustering]
    assert plain.clustering.min_clean_ratio is None
    assert plain.clustering.constrained_assignment == (clustering == "VBxClustering")
    assert plain.parameters().keys() == pipeline.parameters().keys()
    pipeline = copy.deepcopy(pipeline)
    assert pipeline.clustering.min_clean_ratio == 0.1
    assert pipeline.clustering.constrained_assignment
    parameters = pipeline.parameters()
    stock = pipelines.SpeakerDiarization(**arguments, clustering=clustering)
    assert parameters.keys() == stock.parameters().keys()
    agglomerative = {"method": "centroid", "min_cluster_size": 2, "threshold": 0.3}
    if clustering == "AgglomerativeClustering":
        assert not stock.clustering.constrained_assignment
        pipeline.instantiate(VBX | {"clustering": agglomerative})
    else:
        pipeline.instantiate(VBX)
    assert pipeline(SAMPLE_FILE).speaker_diarization.labels()


def test_short_recordings_may_have_fewer_speakers_than_asked_for(arguments):
    """Two windows, and one embedding to cluster in each"""
    noise = 0.1 * torch.randn(1, 40_000, generator=torch.Generator().manual_seed(1))
    file = {"waveform": noise, "sample_rate": 16000}
    stock = pipelines.SpeakerDiarization(**arguments).instantiate(VBX)
    with pytest.raises(ValueError, match="n_samples=2 should be >= n_clusters=4"):
        stock(file, num_speakers=4)
    output = DiarizationPipeline(**arguments).instantiate(VBX)(file, num_speakers=4)
    assert len(output.speaker_diarization.labels()) == 2


@pytest.mark.parametrize(
    ("option", "value"), [("min_clean_ratio", 0.1), ("constrained_assignment", False)]
)
def test_oracle_clustering_has_no_such_option(arguments, option, value):
    with pytest.raises(ValueError, match=f"`{option}` must be None with `clustering='OracleClus"):
        DiarizationPipeline(**arguments, clustering="OracleClustering", **{option: value})


@pytest.mark.parametrize("ratio", [0, -0.1, 1.5, float("nan")])
def test_impossible_share_of_clean_speech_is_refused(arguments, ratio):
    with pytest.raises(ValueError, match=r"`min_clean_ratio` must be in \(0, 1\], found"):
        DiarizationPipeline(**arguments, min_clean_ratio=ratio)


def test_first_channel(arguments, tmp_path):
    """Two opposite channels are silence once they are averaged"""
    waveform, sample_rate = Audio(sample_rate=16000)(SAMPLE_FILE)
    audio = {"waveform": waveform[:, : 10 * sample_rate], "sample_rate": sample_rate}
    opposite = audio | {"waveform": torch.cat([audio["waveform"], -audio["waveform"]])}
    first = DiarizationPipeline(**arguments, first_channel=True).instantiate(VBX)
    average = DiarizationPipeline(**arguments).instantiate(VBX)
    expected = average(audio).speaker_diarization
    assert expected.labels()
    assert first(opposite).speaker_diarization == expected
    assert average(opposite).speaker_diarization != expected
    # a file that says which channel it is has the last word
    assert first(opposite | {"channel": 1}).speaker_diarization != expected
    assert "channel" not in opposite
