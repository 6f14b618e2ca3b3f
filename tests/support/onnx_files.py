"""Models as ONNX files, and their outputs"""

import copy
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


def check_same(
    model: WavLMSegmentation,
    file: onnxruntime.InferenceSession,
    waveforms: Tensor,
    margin: float = 0.0,
):
    """Same log-probabilities as PyTorch's, and the same class, but for ties

    `margin` is for random structures: `margin` times the error of PyTorch itself is allowed too.
    """
    with torch.inference_mode():
        expected, found = model(waveforms), score(file, waveforms)
    allowed = margin * rounding(model, waveforms) if margin else 0.0
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < TOLERANCE + allowed
    best = expected.topk(2).values
    tied = best[..., 0] - best[..., 1] < TIE + 2 * allowed
    assert (tied | (found.argmax(-1) == expected.argmax(-1))).all()
    assert margin or tied.float().mean() < 0.1


def rounding(model: WavLMSegmentation, waveforms: Tensor) -> float:
    """Largest error of PyTorch in single precision, of training and of inference

    Normalizations of one or two channels, or of a constant, amplify rounding errors.
    """
    exact = copy.deepcopy(model).double()(waveforms.double()).detach()
    training = model(waveforms).detach()
    with torch.inference_mode():
        inference = model(waveforms)
    return max((found - exact).abs().max().item() for found in (training, inference))
