"""Smaller ONNX files: weights in half precision, products of integers"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


def convert(model: ModelProto, dtype: str) -> ModelProto:
    """Convert a model in single precision

    Parameters
    ----------
    model : onnx.ModelProto
        It may be changed.
    dtype : {"float32", "float16", "int8"}
        See `save_onnx`.
    """
    if dtype == "float16":
        halve(model)
    return quantize(model) if dtype == "int8" else model


def halve(model: ModelProto) -> None:
    """Store matrices and kernels in half precision, in place

    They are converted back when the model is loaded: vectors (biases, normalizations) and all
    operations stay in single precision, whose range hidden states need.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            name, half = tensor.name, f"{tensor.name}.float16"
            values = numpy_helper.to_array(tensor).clip(-65504, 65504).astype("float16")
            tensor.CopyFrom(numpy_helper.from_array(values, half))
            casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def quantize(model: ModelProto) -> ModelProto:
    """Quantize products: each column of a weight has its scale, inputs are scaled when they come"""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    add_pre_process_metadata(model)  # it is optimized already: no warning
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(path)
