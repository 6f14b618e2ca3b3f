"""Models as ONNX files, and their outputs"""

from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import Tensor

from pyannote_prune import WavLMSegmentation, save_onnx
from pyannote_prune.onnx.precision import convert

# of log-probabilities
TOLERANCE = 1e-4
# of the two most probable classes of a frame, in log-probability: any of them may be chosen
TIE = 1e-5


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def metadata(path: Path) -> dict[str, str]:
    return session(path).get_modelmeta().custom_metadata_map


def score(file: onnxruntime.InferenceSession, waveforms: Tensor) -> Tensor:
    (scores,) = file.run(["scores"], {"waveforms": waveforms.numpy()})
    return torch.from_numpy(scores)


def save(model: WavLMSegmentation, folder: Path, **options) -> onnxruntime.InferenceSession:
    save_onnx(model, folder / "model.onnx", **options)
    return session(folder / "model.onnx")


def converted(path: Path, folder: Path, dtype: str) -> Path:
    """Same file in another precision, as `save_onnx` makes it, without the time that it takes"""
    proto = onnx.load(path)
    described = {item.key: item.value for item in proto.metadata_props}
    proto = convert(proto, dtype)
    onnx.helper.set_model_props(proto, described | {"dtype": dtype})
    onnx.save(proto, folder / f"{dtype}.onnx")
    return folder / f"{dtype}.onnx"


@torch.inference_mode()
def check_same(model: WavLMSegmentation, file: onnxruntime.InferenceSession, waveforms: Tensor):
    """Same log-probabilities as PyTorch's, and the same class, but for ties"""
    expected, found = model(waveforms), score(file, waveforms)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < TOLERANCE
    best = expected.topk(2).values
    tied = best[..., 0] - best[..., 1] < TIE
    assert (tied | (found.argmax(-1) == expected.argmax(-1))).all()
    assert tied.float().mean() < 0.1
