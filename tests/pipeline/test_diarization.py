"""The standard pipeline, and ours"""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from compressed import compress, conversation, needs_ffmpeg, write_conversation
from conversations import write_wav
from embeddings import small_wespeaker
from helpers import tiny_config
from pyannote.audio import Audio, pipelines
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.core import Annotation, Segment
from scipy.ndimage import median_filter

from pyannote_prune import WavLMSegmentation, save_checkpoint
from pyannote_prune.pipeline.clustering import CLUSTERINGS
from pyannote_prune.pipeline.diarization import (
    DiarizationPipeline,
    find_file,
    median_over_frames,
)
from pyannote_prune.pipeline.embedding import SharedFramesEmbedding
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.specifications import powerset_specifications

VBX = {
    "segmentation": {"min_duration_off": 0.0},
    "clustering": {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8},
}
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


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_bfloat16_is_for_processors_that_know_it(arguments, known, monkeypatch):
    monkeypatch.setattr(
        "pyannote_prune.pipeline.diarization.supports_bfloat16", lambda device: known
    )
    fast = DiarizationPipeline(**arguments, segmentation_dtype="bfloat16")
    exact = DiarizationPipeline(**arguments)
    with nullcontext() if known else pytest.warns(UserWarning, match="has no native bfloat16"):
        found = scores(fast)
    assert np.array_equal(found, scores(exact)) != known


def test_bfloat16_of_a_pipeline_is_not_that_of_its_model(arguments):
    """Nor that of another pipeline with the same model, whichever comes first"""
    model, waveforms = load_checkpoint(arguments["segmentation"]), torch.randn(1, 1, 16000)
    arguments |= {"segmentation": model}
    exact = DiarizationPipeline(**arguments)
    fast = DiarizationPipeline(**arguments, segmentation_dtype="bfloat16")
    with torch.inference_mode():
        before, expected = model(waveforms), scores(exact)
        half = scores(fast)
        assert not np.array_equal(half, expected)
        assert torch.equal(model(waveforms), before)
        assert np.array_equal(scores(exact), expected)
        assert np.array_equal(scores(fast), half)
    assert model.wavlm.inference_dtype is None
    # they share weights, whatever becomes of them
    with torch.no_grad():
        model.wavlm.layers[0].attention.query.weight.mul_(3)
    assert not np.array_equal(scores(fast), half)
    assert fast.to(torch.device("cpu"))._segmentation.model.wavlm.layers is model.wavlm.layers


def scores(pipeline: DiarizationPipeline) -> np.ndarray:
    """Scores of each class in the first window"""
    waveform, _ = Audio(sample_rate=16000, mono="downmix").crop(SAMPLE_FILE, Segment(0, 2))
    pipeline.get_segmentations(SAMPLE_FILE)
    with torch.inference_mode():
        return pipeline._segmentation.model(waveform[None]).numpy()


def test_bfloat16_is_for_our_models(arguments):
    pipeline = DiarizationPipeline(**arguments, segmentation_dtype="bfloat16").instantiate(VBX)
    assert isinstance(pipeline(SAMPLE_FILE).speaker_diarization, Annotation)
    other = PyanNet()
    other.specifications = powerset_specifications(2.0, 3, 2)
    other.build()
    with pytest.raises(ValueError, match="`segmentation_dtype` must be None unless"):
        DiarizationPipeline(**arguments | {"segmentation": other}, segmentation_dtype="bfloat16")


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


@needs_ffmpeg
@pytest.mark.parametrize("kind", [".mp3", ".webm", "-pipe.flac", "-late.mp4"])
def test_compressed_files_give_what_their_decoded_waveform_gives(arguments, tmp_path, kind):
    path = compress(write_conversation(tmp_path), kind)
    waveform, sample_rate = Audio()(path)
    stock = pipelines.SpeakerDiarization(**arguments).instantiate(VBX)
    with pytest.raises((TypeError, ValueError)):
        stock(path)
    ours = DiarizationPipeline(**arguments).instantiate(VBX)
    expected = ours({"waveform": waveform, "sample_rate": sample_rate})
    for source in (path, {"audio": path, "uri": "it"}):
        found = ours(source)
        assert found.speaker_diarization == expected.speaker_diarization
        np.testing.assert_array_equal(found.speaker_embeddings, expected.speaker_embeddings)
    assert expected.speaker_diarization.get_timeline().duration() > 0


@needs_ffmpeg
def test_compressed_files_of_odd_sample_rates_have_windows_of_one_length(arguments, tmp_path):
    """Every half second, hence 5512.5 samples at 11,025 Hz"""
    write_wav(tmp_path / "talk.wav", conversation(), sample_rate=11025)
    path = compress(tmp_path / "talk.wav", ".m4a")
    model = WavLMSegmentation.from_pretrained(arguments["segmentation"])
    model.specifications.duration = 1.0
    arguments |= {"segmentation": model, "embedding_batch_size": 32}
    pipeline = DiarizationPipeline(**arguments).instantiate(VBX)
    waveform, sample_rate = Audio()(path)
    assert sample_rate == 11025
    with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
        pipeline({"waveform": waveform, "sample_rate": sample_rate})
    assert pipeline(path).speaker_diarization.get_timeline().duration() > 0


@needs_ffmpeg
def test_first_channel_of_compressed_files_is_the_first(arguments, tmp_path):
    samples = np.stack([conversation(), 0.3 * conversation()[::-1]], axis=1)
    write_wav(tmp_path / "two.wav", samples)
    path = compress(tmp_path / "two.wav", ".mp3")
    waveform, sample_rate = Audio()(path)
    both, first = (
        DiarizationPipeline(**arguments, first_channel=value).instantiate(VBX)
        for value in (False, True)
    )
    expected = both({"waveform": waveform[:1], "sample_rate": sample_rate})
    assert first(path).speaker_diarization == expected.speaker_diarization
    assert both(path).speaker_diarization != expected.speaker_diarization


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


def test_segmentation_can_be_a_safetensors_file(arguments, tmp_path):
    path = tmp_path / "model.safetensors"
    save_checkpoint(WavLMSegmentation.from_pretrained(arguments["segmentation"]), path)
    expected = DiarizationPipeline(**arguments)._segmentation.model.state_dict()
    for segmentation in (
        *(path, str(path), {"checkpoint": path}),
        {"checkpoint": tmp_path, "subfolder": path.name},
    ):
        found = DiarizationPipeline(**arguments | {"segmentation": segmentation})
        assert all(
            torch.equal(tensor, expected[key])
            for key, tensor in found._segmentation.model.state_dict().items()
        )


def test_anything_else_is_left_to_pyannote():
    model = WavLMSegmentation(wavlm=tiny_config())
    for segmentation in (
        *(None, model, "model.ckpt", "someone/model", "someone/safetensors"),
        *({"checkpoint": "someone/model"}, {"checkpoint": "x/y", "subfolder": "segmentation"}),
    ):
        assert find_file(segmentation) is None


def test_safetensors_file_of_the_hub_is_downloaded(tmp_path):
    """Here, found in its cache"""
    snapshot = tmp_path / "models--someone--pipeline" / "snapshots" / ("0" * 40)
    for path in (snapshot / "segmentation" / "model.safetensors", snapshot / "../../refs/main"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0" * 40)
    segmentation = {
        "checkpoint": "someone/pipeline",
        "subfolder": "segmentation/model.safetensors",
        "revision": None,
    }
    found = find_file(segmentation, cache_dir=tmp_path)
    assert found == snapshot / "segmentation" / "model.safetensors"


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "{0}/model.safetensors", "link.SAFETENSORS"]
)
def test_segmentation_stays_in_the_folder_of_the_pipeline(tmp_path, name):
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (tmp_path / "model.safetensors").write_text("somewhere else")
    (folder / "link.SAFETENSORS").symlink_to(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="`segmentation` must be a file inside '.*pipeline', fou"):
        find_file({"checkpoint": folder, "subfolder": name.format(tmp_path)})


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
