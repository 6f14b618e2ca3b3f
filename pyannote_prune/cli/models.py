"""Commands `convert`, `summary` and `export`"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..files.extras import require_extra
from ..files.sources import is_onnx
from ..onnx.deviation import measure_deviation
from ..onnx.save import save_onnx
from ..pipeline.export import COMMUNITY_1, export_pipeline
from ..pipeline.speed import at_speed
from ..released.source import open_source
from ..segmentation.checkpoint import check_suffix, save_checkpoint
from ..segmentation.model import WavLMSegmentation
from ..segmentation.specifications import has_specifications, powerset_specifications
from ..segmentation.tables import head_table, specifications_lines, structure_table
from ..wavlm import WavLMConfig
from ..wavlm.presets import PRESETS
from .errors import console, print_line, readable_errors, run_in


class Dtype(str, Enum):
    """Precision of ONNX files"""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


class Speed(str, Enum):
    """Compromise between speed and accuracy of a pipeline"""

    exact = "exact"
    balanced = "balanced"
    fast = "fast"


class EngineName(str, Enum):
    """Library that computes models of a pipeline on CPU"""

    auto = "auto"
    torch = "torch"
    onnxruntime = "onnxruntime"
    openvino = "openvino"


@run_in(readable_errors)
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="Checkpoint, or hub id or folder of a released DiariZen model, or of WavLM in "
            "Hugging Face layout."
        ),
    ],
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="Checkpoint to write: .ckpt, .bin, .pt or .pth (PyTorch), or .safetensors. Or "
            ".onnx, for other runtimes (needs the extra onnx).",
            dir_okay=False,
        ),
    ],
    duration: Annotated[
        float, typer.Option(help="Window length, in seconds, if SOURCE is WavLM alone.", min=0.1)
    ] = 8.0,
    max_speakers_per_chunk: Annotated[
        int,
        typer.Option(
            help="Maximum number of speakers in a window, if SOURCE is WavLM alone.", min=1
        ),
    ] = 4,
    max_speakers_per_frame: Annotated[
        int,
        typer.Option(
            help="Maximum number of simultaneous speakers, if SOURCE is WavLM alone.", min=1
        ),
    ] = 2,
    dtype: Annotated[
        Dtype | None,
        typer.Option(
            help="Precision of an ONNX file: float32 (default), float16 (weights: half the size), "
            "int8 (products: faster). The deviation of the last two is printed."
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the weights, which the file then says. Defaults to what SOURCE says. "
            "What is made from released DiariZen and SUPlime models is CC BY-NC 4.0."
        ),
    ] = None,
):
    """
    Convert SOURCE into a CHECKPOINT that pyannote.audio reads, or into an ONNX file
    """
    if is_onnx(checkpoint):
        require_extra("onnx")
    else:
        check_suffix(checkpoint)
        _refuse_options_of_onnx(dtype=dtype)
    model = open_source(source).load_model()
    model.provenance = model.provenance.stated(licence)
    trained = has_specifications(model)
    if not trained:
        model.specifications = powerset_specifications(
            duration, max_speakers_per_chunk, max_speakers_per_frame
        )
        model.setup()
    if is_onnx(checkpoint):
        save_onnx(model, checkpoint, (dtype or Dtype.float32).value)
    else:
        save_checkpoint(model, checkpoint)
    print_line(f"Wrote {checkpoint}")
    if dtype not in (None, Dtype.float32):
        _print_deviation(model, checkpoint)
    if not trained:
        console.print(
            "It is WavLM with an untrained head: train it before using it in a pipeline.",
            style="yellow",
        )


def _refuse_options_of_onnx(**options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"`--{name}` is for ONNX files: give a CHECKPOINT that ends in .onnx.")


def _print_deviation(model: WavLMSegmentation, path: Path) -> None:
    deviation = measure_deviation(model, path)
    print_line(
        f"Scores within {deviation.scores:.2g} of those of PyTorch on a conversation of 30 s: "
        f"{deviation.same_class:.2%} of frames have the same speakers, and "
        f"{deviation.kept_turns:.1%} of {deviation.num_turns} turns are kept (within 0.1 s)"
    )


@run_in(readable_errors)
def summary(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help=f"Checkpoint, other source of `convert`, or preset ({', '.join(PRESETS)})."
        ),
    ],
):
    """
    Print the structure and cost of a CHECKPOINT, layer by layer
    """
    if checkpoint in PRESETS and not Path(checkpoint).exists():
        model, config, lines = None, WavLMConfig.preset(checkpoint), []
    else:
        model = open_source(checkpoint).load_model()
        config = model.wavlm.config
        lines = specifications_lines(model) if has_specifications(model) else []
    print_line(checkpoint)
    console.print(structure_table(config))
    if lines and model is not None:
        console.print(head_table(model))
    for line in lines:
        print_line(line)


@run_in(readable_errors)
def export(
    source: Annotated[
        str, typer.Argument(help="Checkpoint, or released DiariZen or SUPlime model.")
    ],
    folder: Annotated[Path, typer.Argument(help="Output folder of the pipeline.", file_okay=False)],
    parts: Annotated[
        str | None,
        typer.Option(
            help="Pipeline to take embedding and PLDA from: local folder, or hub id. Defaults to "
            f"the one that SOURCE comes with, or to {COMMUNITY_1}."
        ),
    ] = None,
    fast: Annotated[
        bool,
        typer.Option("--fast", help="No effect: all exported pipelines are fast.", hidden=True),
    ] = False,
    bfloat16: Annotated[
        bool,
        typer.Option(
            "--bfloat16", help="Run WavLM in bfloat16: faster, with slightly different output."
        ),
    ] = False,
    safetensors: Annotated[
        bool,
        typer.Option(
            "--safetensors", help="Write the segmentation model as safetensors, which hold no code."
        ),
    ] = False,
    onnx: Annotated[
        bool,
        typer.Option(
            "--onnx",
            help="Write the segmentation model as an ONNX file (needs the extra onnx), and a "
            "WeSpeaker embedding of local --parts as well.",
        ),
    ] = False,
    engine: Annotated[
        EngineName | None,
        typer.Option(
            help="Library that computes on CPU, for a WeSpeaker embedding, and with --onnx for the "
            "segmentation model: onnxruntime (extra onnx, where the folder is used), openvino "
            "(extra openvino), torch, or auto, the fastest that is installed there. Defaults to "
            "auto with --onnx, to torch otherwise."
        ),
    ] = None,
    speed: Annotated[
        Speed | None,
        typer.Option(
            help="exact: fastest engines that are installed, same results. balanced: also "
            "bfloat16, embeddings of long stretches, and windows that advance by 0.15 of their "
            "length rather than a tenth. fast: the same, but windows advance by a quarter. All are "
            "faster with --onnx and OpenVINO."
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the weights, for the model card. Defaults to what SOURCE says. What "
            "is made from released DiariZen and SUPlime models is CC BY-NC 4.0."
        ),
    ] = None,
    data_licence: Annotated[
        str | None,
        typer.Option(help="Licence of the data that SOURCE was trained on, for the model card."),
    ] = None,
):
    """
    Export SOURCE to FOLDER, as a diarization pipeline that pyannote.audio loads

    Released DiariZen and SUPlime models keep the settings of their own pipelines.
    """
    found = open_source(source)
    model, settings = found.load_model(), found.load_settings()
    if speed is not None:
        settings = at_speed(settings, speed.value)
    if bfloat16:
        settings = replace(settings, segmentation_dtype="bfloat16")
    if engine is not None:
        name = engine.value
        settings = replace(
            settings,
            segmentation_engine=name if onnx else settings.segmentation_engine,
            embedding_engine=name,
        )
    export_pipeline(
        model,
        folder,
        parts or found.parts or COMMUNITY_1,
        settings,
        safetensors,
        found.find_plda(),
        found.packages if parts is None else None,
        onnx,
        licence,
        data_licence,
    )
    print_line(f"Wrote {folder}")
    source_of_parts = str(parts or found.parts or COMMUNITY_1)
    if settings.needs_embeddings and not Path(source_of_parts).exists():
        print_line(
            f"Its speaker embedding comes from the hub ({source_of_parts}): accept its conditions "
            "there, if it has any, and log in (`hf auth login`). With --parts FOLDER, a local copy "
            "of that pipeline, the embedding is copied, and no network is needed."
        )
    if found.packages and parts is None:
        names = ", ".join(found.packages)
        print_line(f"Its speaker embedding needs another package: pip install {names}")
