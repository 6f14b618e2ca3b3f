"""ONNX files in the pipelines of pyannote.audio, and in ours"""

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
import torch
import yaml
from helpers import relative_error
from onnx import TensorProto, helper
from pyannote.audio import Inference, Pipeline, pipelines
from pyannote.audio.sample import SAMPLE_FILE
from typer.testing import CliRunner

from pyannote_prune import (
    WavLMSegmentation,
)
from pyannote_prune.cli import app
from pyannote_prune.onnx.engines import ENGINES as ENGINES_OF_FILES
from pyannote_prune.onnx.model import ONNXSegmentation
from pyannote_prune.pipeline.diarization import DiarizationPipeline
from pyannote_prune.wavlm.inference.bfloat16 import supports_bfloat16

ENGINES = ("segmentation_engine", "embedding_engine")
pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


@pytest.fixture(scope="module")
def model(checkpoint) -> WavLMSegmentation:
    return WavLMSegmentation.from_pretrained(checkpoint).eval()


@pytest.fixture(scope="module")
def path(onnx_file):
    return onnx_file


def test_file_has_the_scores_and_the_geometry_of_its_model(model, path):
    found = ONNXSegmentation(path)
    for num_samples in (400, 401, 719, 720, 8000, 32000):
        waveforms = torch.randn(3, 1, num_samples)
        with torch.inference_mode():
            torch.testing.assert_close(found(waveforms), model(waveforms), rtol=0, atol=1e-4)
        assert found.num_frames(num_samples) == model.num_frames(num_samples)
    assert found.num_frames(399) == model.num_frames(399) == 0
    for number in (1, 2, 50):
        assert found.receptive_field_size(number) == model.receptive_field_size(number)
        assert found.receptive_field_center(number) == model.receptive_field_center(number)
    assert found.dimension == model.dimension
    assert vars(found.specifications) == vars(model.specifications)


def test_large_batches_are_computed_a_minute_at_a_time(model, path, monkeypatch):
    found, waveforms = ONNXSegmentation(path), torch.randn(7, 1, 8000)
    sizes, compute = [], found._engine("cpu")
    found._engines["cpu"] = lambda samples: sizes.append(len(samples)) or compute(samples)
    expected = found(waveforms)
    for seconds, parts in ((1.5, [3, 3, 1]), (0.4, [1] * 7), (3.5, [7])):
        monkeypatch.setattr("pyannote_prune.onnx.model.MAX_SAMPLES", round(16000 * seconds))
        sizes.clear()
        torch.testing.assert_close(found(waveforms), expected, rtol=0, atol=1e-4)
        assert sizes == parts


def test_openvino_computes_the_same(model, path):
    """Whatever the order of lengths: a single frame first"""
    pytest.importorskip("openvino", reason="needs `pip install openvino`, of the test extra")
    found = ONNXSegmentation(path, engine="openvino")
    for num_samples in (400, 8000, 719, 32000, 400):
        waveforms = torch.randn(2, 1, num_samples)
        with torch.inference_mode():
            scores, expected = [found(waveforms) for _ in range(3)], model(waveforms)
        # also once other calls have used memory
        assert all(relative_error(one, expected) < 1e-5 for one in scores)


def test_threads_share_an_engine(path):
    pytest.importorskip("openvino", reason="needs `pip install openvino`, of the test extra")
    waveforms = torch.randn(6, 1, 8000)
    for engine in ("onnxruntime", "openvino"):
        found = ONNXSegmentation(path, num_threads=1, engine=engine)
        expected = [found(waveform[None]) for waveform in waveforms]
        with ThreadPoolExecutor(3) as pool:
            results = list(pool.map(found, [waveforms[i % 6, None] for i in range(120)]))
        assert all(torch.equal(result, expected[i % 6]) for i, result in enumerate(results))


def test_engines_of_a_pipeline_fit_its_model(path, arguments):
    message = r"`segmentation_engine` must be one of 'auto', .*'openvin'"
    with pytest.raises(ValueError, match=message):
        _ours(**arguments | {"segmentation": path, "segmentation_engine": "openvin"})
    with pytest.raises(ValueError, match="`segmentation_engine` must not be 'torch'"):
        _ours(**arguments | {"segmentation": path, "segmentation_engine": "torch"})
    with pytest.raises(ValueError, match="`segmentation_engine` must be None, 'torch' or 'auto'"):
        _ours(**arguments, segmentation_engine="openvino")
    assert _ours(**arguments, segmentation_engine="auto", embedding_engine="auto")


def test_inference_of_pyannote_runs_it(model, path):
    found, expected = (
        Inference(one, step=0.5, skip_aggregation=True)(SAMPLE_FILE)
        for one in (ONNXSegmentation(path), model)
    )
    assert vars(found.sliding_window) == vars(expected.sliding_window)
    np.testing.assert_array_equal(found.data, expected.data)


def test_pipelines_give_the_turns_of_the_checkpoint(path, arguments):
    """Of pyannote.audio, given the model, and ours, given the path"""
    turns = []
    for make, segmentation in (
        (pipelines.SpeakerDiarization, arguments["segmentation"]),
        (pipelines.SpeakerDiarization, ONNXSegmentation(path)),
        (_ours, path),
        (_ours, str(path)),
    ):
        pipeline = make(**arguments | {"segmentation": segmentation})
        pipeline.instantiate(pipelines.SpeakerDiarization.default_parameters(pipeline))
        pipeline.to(torch.device("cpu"))
        turns.append(pipeline(SAMPLE_FILE).speaker_diarization.to_rttm())
    assert len(turns[0]) > 100
    assert turns[1:] == turns[:1] * 3


def _ours(**options):
    from pyannote_prune.pipeline import DiarizationPipeline

    return DiarizationPipeline(**options)


def test_exported_folder_diarizes_with_any_engine(onnx_folder, checkpoint):
    pytest.importorskip("openvino", reason="needs `pip install openvino`, of the test extra")
    config = yaml.safe_load((onnx_folder / "config.yaml").read_text(encoding="utf-8"))
    params = config["pipeline"]["params"]
    assert params["segmentation"] == "$model/segmentation/model.onnx"
    assert (params["segmentation_engine"], params["embedding_engine"]) == ("auto", "auto")
    assert [path.name for path in (onnx_folder / "segmentation").iterdir()] == ["model.onnx"]
    file = {"waveform": SAMPLE_FILE["waveform"][:, 80000:240000], "sample_rate": 16000}
    outputs = []
    for engine in ("torch", "onnxruntime", "openvino"):
        ours = dict.fromkeys(ENGINES, engine) | {"embedding": str(onnx_folder / "embedding")}
        ours["segmentation"] = str(onnx_folder / "segmentation" / "model.onnx")
        if engine == "torch":
            ours["segmentation"] = str(checkpoint)
        outputs.append(_ours(**params | ours).instantiate(config["params"])(file))
    expected, *found = *outputs, Pipeline.from_pretrained(onnx_folder)(file)
    assert len(expected.speaker_diarization.labels()) > 1
    tolerance = 1e-4 * np.abs(expected.speaker_embeddings).max()
    for one in found:
        assert one.speaker_diarization.to_rttm() == expected.speaker_diarization.to_rttm()
        np.testing.assert_allclose(
            one.speaker_embeddings, expected.speaker_embeddings, atol=tolerance
        )


def test_command_exports(checkpoint, path, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "pyannote_prune.pipeline.export.save_onnx", lambda _, to: shutil.copyfile(path, to)
    )
    arguments = ["export", checkpoint, tmp_path / "it", "--parts", parts, "--onnx"]
    for options, expected in (([], "auto"), (["--engine", "openvino"], "openvino")):
        arguments[2] = tmp_path / expected
        result = CliRunner().invoke(app, [*map(str, arguments), *options])
        assert result.exit_code == 0, result.output
        assert (tmp_path / expected / "segmentation" / "model.onnx").is_file()
        # which is that of a WeSpeaker embedding
        assert not (tmp_path / expected / "embedding" / "model.onnx").exists()
        config = (tmp_path / expected / "config.yaml").read_text(encoding="utf-8")
        params = yaml.safe_load(config)["pipeline"]["params"]
        assert [params[name] for name in ENGINES] == [expected, expected]
    arguments[2] = tmp_path / "other"
    result = CliRunner().invoke(app, [*map(str, arguments), "--safetensors"])
    assert result.exit_code == 1
    assert "`safetensors` and `onnx` must not both be true" in " ".join(result.output.split())
    assert not (tmp_path / "other").exists()


def test_model_can_be_pickled(path):
    waveforms = torch.randn(1, 1, 8000)
    found = pickle.loads(pickle.dumps(ONNXSegmentation(path)))
    assert torch.equal(found(waveforms), ONNXSegmentation(path)(waveforms))


@pytest.mark.parametrize(
    ("waveforms", "message"),
    [
        (torch.zeros(1, 1, 399), "at least 400 samples, found 399"),
        (torch.zeros(1, 2, 8000), r"must have shape \(batch_size, 1, num_samples\)"),
        (torch.zeros(1, 8000), r"must have shape \(batch_size, 1, num_samples\)"),
        (torch.zeros(1, 1, 8000, dtype=torch.int16), "`waveforms` must be"),
    ],
)
def test_waveforms_that_cannot_be_scored_are_refused(path, waveforms, message):
    with pytest.raises(ValueError, match=message):
        ONNXSegmentation(path)(waveforms)


def test_files_of_something_else_are_refused(tmp_path, arguments):
    node = helper.make_node("Identity", ["waveforms"], ["scores"])
    value = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
        for name in ("waveforms", "scores")
    ]
    graph = helper.make_graph([node], "x", value[:1], value[1:])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=opset), tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"other.onnx' must be an ONNX file of a segmentation mo"):
        _ours(**arguments | {"segmentation": tmp_path / "other.onnx"})
    (tmp_path / "broken.onnx").write_bytes(b"not an ONNX file")
    with pytest.raises(ValueError, match=r"broken.onnx' could not be read"):
        ONNXSegmentation(tmp_path / "broken.onnx")
    with pytest.raises(FileNotFoundError):
        ONNXSegmentation(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("specifications", "{", "metadata"),
        ("specifications", "[]", "`specifications` must be a dictionary"),
        ("receptive_field_size", "0", "receptive field of 0 samples"),
        ("sample_rate", "8000", "`sample_rate` must be 16000, found '8000'"),
    ],
)
def test_metadata_that_are_impossible_are_refused(path, tmp_path, key, value, message):
    proto = onnx.load(path)
    for one in proto.metadata_props:
        if one.key == key:
            one.value = value
    onnx.save(proto, tmp_path / "changed.onnx")
    with pytest.raises(ValueError, match=message):
        ONNXSegmentation(tmp_path / "changed.onnx")


@pytest.mark.skipif(
    not supports_bfloat16(torch.device("cpu")), reason="this processor has no native bfloat16"
)
def test_openvino_rounds_to_bfloat16_no_more_than_pytorch(model, path, arguments):
    """Also the position embedding of small encoders, which oneDNN gets wrong: see `Position`"""
    pytest.importorskip("openvino", reason="needs `pip install openvino`, of the test extra")
    exact = ONNXSegmentation(path, engine="openvino")
    fast = exact.in_precision(torch.bfloat16)
    waveforms = torch.randn(4, 1, 32000)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        rounded = model(waveforms).float()
    expected, found = exact(waveforms), fast(waveforms)
    error = (found - expected).abs().max()
    assert 0 < error < 3 * (rounded - expected).abs().max()
    assert (found.argmax(-1) == expected.argmax(-1)).float().mean() > 0.95
    assert torch.equal(exact(waveforms), expected)

    options = {"segmentation": path, "segmentation_engine": "openvino"}
    pipeline = _ours(**arguments | options, segmentation_dtype="bfloat16")
    pipeline.instantiate(pipeline.default_parameters())
    pipeline(SAMPLE_FILE)
    assert pipeline._segmentation.model.inference_dtype == "bfloat16"


@pytest.mark.filterwarnings("ignore:bfloat16 needs OpenVINO", "ignore:This processor has no nat")
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("options", [{"segmentation_dtype": "bfloat16"}, {"speed": "balanced"}])
@pytest.mark.parametrize("engine", [*ENGINES_OF_FILES])
def test_pipelines_in_bfloat16_open_their_file_once(
    path, arguments, monkeypatch, engine, options, known
):
    """Whether or not engine and processor have that precision"""
    if engine == "openvino":
        pytest.importorskip("openvino", reason="needs `pip install openvino`, of the test extra")
    for name in ("onnx.engines", "pipeline.diarization", "pipeline.segmentation_file"):
        monkeypatch.setattr(f"pyannote_prune.{name}.supports_bfloat16", lambda device: known)
    opened, make = [], ENGINES_OF_FILES[engine]
    monkeypatch.setitem(
        ENGINES_OF_FILES, engine, lambda *given: opened.append(given[-1]) or make(*given)
    )
    arguments |= {"segmentation": path, "segmentation_engine": engine, **options}
    pipeline = DiarizationPipeline(**arguments, clustering="OracleClustering")
    for _ in range(2):
        pipeline.get_segmentations(SAMPLE_FILE)
    assert opened == ["bfloat16" if known and engine == "openvino" else None]


def test_engines_without_bfloat16_say_so(path):
    with pytest.warns(UserWarning, match=r"bfloat16 needs OpenVINO .*in single precision instead"):
        found = ONNXSegmentation(path, engine="onnxruntime", dtype="bfloat16")
    waveforms = torch.randn(2, 1, 8000)
    assert torch.equal(found(waveforms), ONNXSegmentation(path)(waveforms))
    with pytest.raises(ValueError, match="`dtype` must be 'bfloat16' or None .*found 'float16'"):
        ONNXSegmentation(path, dtype="float16")
