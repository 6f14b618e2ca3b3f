"""Export pipeline folders"""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pyannote.audio import Model

from ..files.atomic import DRAFT, draft_prefix, writing
from ..files.clutter import remove_empty
from ..files.extras import require_extra
from ..files.folders import check_new
from ..files.pickles import read_safely
from ..onnx.embedding import can_save_embedding, save_embedding
from ..onnx.engines import AUTO
from ..onnx.save import save_onnx
from ..segmentation.checkpoint import check_is_complete, load_checkpoint, save_checkpoint
from ..segmentation.model import WavLMSegmentation
from ..segmentation.provenance import dense_parameters
from ..version import __version__
from .card import write_card
from .settings import DiarizationSettings, check_engines

COMMUNITY_1 = "pyannote/speaker-diarization-community-1"

# files of each part of a pipeline folder
PARTS = {
    "embedding": ("pytorch_model.bin",),
    "plda": ("xvec_transform.npz", "plda.npz"),
}

# file of a segmentation model that pyannote.audio reads by itself
WEIGHTS = "pytorch_model.bin"

# where classes of its WeSpeaker embeddings are
WESPEAKER = "pyannote.audio.models.embedding.wespeaker"

PIPELINE = "pyannote_prune.pipeline.SpeakerDiarization"


def export_pipeline(
    model: WavLMSegmentation | str | Path,
    folder: str | Path,
    parts: str | Path = COMMUNITY_1,
    settings: DiarizationSettings | None = None,
    safetensors: bool = False,
    plda: str | Path | None = None,
    packages: Mapping[str, str] | None = None,
    onnx: bool = False,
    licence: str | None = None,
    data_licence: str | None = None,
) -> Path:
    """Write a folder that `Pipeline.from_pretrained` reads, with a model card

    Parameters
    ----------
    model : WavLMSegmentation, str or Path
        Segmentation model, or its checkpoint.
    folder : str or Path
        Folder to write. Must not exist, or be empty.
    parts : str or Path, optional
        Source of embedding and PLDA: a local pipeline folder, whose `embedding` and `plda` are
        copied (the new folder is then complete, and works offline), or the hub id of a pipeline
        with the same layout, which is written in `config.yaml`.
        Defaults to "pyannote/speaker-diarization-community-1". Oracle clustering needs none.
    settings : DiarizationSettings, optional
        Defaults to the settings of that pipeline.
    safetensors : bool, optional
        Save the segmentation model as a safetensors file, which cannot contain code. Defaults to
        the format of pyannote.audio.
    plda : str or Path, optional
        Folder of another PLDA ("xvec_transform.npz" and "plda.npz"), which is copied. Defaults to
        the PLDA of `parts`.
    packages : dict of str, optional
        Packages, and their versions, that the embedding needs: pyannote.audio refuses the pipeline
        where they are missing. Defaults to none.
    onnx : bool, optional
        Save the segmentation model as an ONNX file: see `save_onnx`. Engines of `settings` that are
        None become "auto". An embedding that is copied, if it is a WeSpeaker ResNet, is there as
        "model.onnx" as well, for other programs: see `save_embedding`. Our pipeline reads its
        checkpoint.
    licence, data_licence : str, optional
        Licences of the weights and of the data that they were trained on, for the card. Default to
        what the model says (`model.provenance`).

    Returns
    -------
    folder : Path

    Raises
    ------
    ValueError
        If `folder` is not empty, if `safetensors` and `onnx` are both true, if `settings` have an
        engine that cannot compute the model, if parts are missing in a local folder or could
        execute code, if `model` is not a checkpoint of `WavLMSegmentation`, or if it was made from
        weights that were released under another licence.
    """
    folder, settings = Path(folder), settings or DiarizationSettings()
    check_new(folder)
    file = _file_name(safetensors, onnx, settings)
    settings = _with_engines(settings, onnx)
    copied = check_parts(parts, plda, settings.parts)
    if not isinstance(model, WavLMSegmentation):
        model = load_checkpoint(model)
    check_is_complete(model)
    model = _with_licences(model, licence, data_licence)

    # complete before it takes its final name, in case of an interruption
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(DRAFT, draft_prefix(folder), folder.parent) as temporary:
        draft = Path(temporary) / folder.name
        draft.mkdir()
        with writing(folder, draft):
            (draft / "segmentation").mkdir()
            save = save_onnx if onnx else save_checkpoint
            save(model, draft / "segmentation" / file)
            for part, source in copied.items():
                _copy(source, draft / part, PARTS[part])
            if onnx and "embedding" in copied:
                _save_embedding(draft / "embedding")
            config = _config(settings, str(parts), copied, file)
            config["dependencies"] |= packages or {}
            (draft / "config.yaml").write_text(
                yaml.safe_dump(config, sort_keys=False), encoding="utf-8"
            )
            write_card(draft, model, settings, str(parts), copied, packages or ())
        remove_empty(folder)
        draft.rename(folder)
    return folder


def _with_licences(
    model: WavLMSegmentation, licence: str | None, data_licence: str | None
) -> WavLMSegmentation:
    """Make a view of a model, whose files say what its card says"""
    view = copy.copy(model)
    view.provenance = model.provenance.stated(licence, data_licence)
    if (dense := dense_parameters(model.wavlm.config)) is not None:
        # not to be found again in an ONNX file, which has no structure
        view.provenance = replace(
            view.provenance, dense_parameters=view.provenance.dense_parameters or dense
        )
    return view


def _file_name(safetensors: bool, onnx: bool, settings: DiarizationSettings) -> str:
    """Choose the name of the file of the segmentation model"""
    if not onnx:
        return "model.safetensors" if safetensors else WEIGHTS
    require_extra("onnx")
    if safetensors:
        raise ValueError(
            "`safetensors` and `onnx` must not both be true: the segmentation model is a single "
            "file. Leave one of them out."
        )
    return "model.onnx"


def _with_engines(settings: DiarizationSettings, onnx: bool) -> DiarizationSettings:
    """Settings of a folder, whose ONNX file any engine may compute"""
    if onnx:
        settings = replace(
            settings,
            segmentation_engine=settings.segmentation_engine or AUTO,
            embedding_engine=settings.embedding_engine or AUTO,
        )
    check_engines(settings.segmentation_engine, settings.embedding_engine, is_file=onnx)
    return settings


def _save_embedding(folder: Path) -> None:
    """Add an ONNX file to the folder of an embedding, if it can be one"""
    content = read_safely(folder / WEIGHTS, mmap=True)
    try:
        module = content["pyannote.audio"]["architecture"]["module"]
    except (KeyError, TypeError):  # no checkpoint of pyannote.audio
        return
    # other classes are not loaded: their packages may be missing
    if module != WESPEAKER:
        return
    model = Model.from_pretrained(folder / WEIGHTS)
    if can_save_embedding(model):
        save_embedding(model.eval(), folder / "model.onnx")


def check_parts(
    parts: str | Path, plda: str | Path | None = None, needed: Collection[str] = tuple(PARTS)
) -> dict[str, Path]:
    """Check that the files of local parts exist, and contain nothing but numbers

    Parameters
    ----------
    parts, plda : str or Path, optional
        See `export_pipeline`.
    needed : tuple of str, optional
        Parts that the pipeline has. Defaults to "embedding" and "plda".

    Returns
    -------
    folders : dict of Path
        Folders of local parts, to copy.

    Raises
    ------
    ValueError
        If a file is missing, or could execute code.
    """
    found: dict[str, Path] = {}
    if not needed:
        return found
    if Path(parts).is_file():
        raise ValueError(
            f"`parts` must be the folder of a pipeline, found the file {str(parts)!r}: give the "
            f"folder of a local copy of {COMMUNITY_1}, of which embedding/pytorch_model.bin and "
            "plda/ are read."
        )
    if Path(parts).exists():
        found = {part: Path(parts) / part for part in needed}
    elif isinstance(parts, Path) or str(parts).count("/") != 1 or str(parts).startswith((".", "~")):
        raise ValueError(
            "`parts` must be a local pipeline folder or the hub id of a pipeline (such as "
            f"{COMMUNITY_1!r}), found {str(parts)!r}: there is no such folder."
        )
    if plda is not None and "plda" in needed:
        found["plda"] = Path(plda)
    for part, folder in found.items():
        _check_files(folder, part, "plda" if part == "plda" and plda is not None else "parts")
    return found


def _check_files(folder: Path, part: str, argument: str) -> None:
    missing = [name for name in PARTS[part] if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"`{argument}` must be laid out as {COMMUNITY_1}, found {str(folder)!r} without "
            f"{', '.join(missing)}."
        )
    for name in PARTS[part]:
        _check_part(folder / name, argument)


def _check_part(path: Path, argument: str) -> None:
    """Refuse a file that could execute code: pyannote.audio loads embeddings without a check"""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                for name in arrays:
                    if not isinstance(arrays[name], np.ndarray):
                        raise ValueError(f"{name!r} is no array.")
        else:
            read_safely(path)
    # numpy raises errors of many kinds for damaged files
    except Exception as error:
        raise ValueError(
            f"`{argument}` must have files that hold numbers alone, found {str(path)!r}: "
            f"{str(error) or repr(error)} To refer to the files of the hub as they are, give the "
            "hub id."
        ) from error


def _copy(source: Path, destination: Path, names: tuple[str, ...]) -> None:
    destination.mkdir()
    for name in names:
        shutil.copyfile(source / name, destination / name)


def _config(
    settings: DiarizationSettings, hub_id: str, copied: Collection[str], file: str
) -> dict[str, Any]:
    """Content of `config.yaml`: parts that are not copied come from the hub"""
    params: dict[str, Any] = {
        "clustering": settings.clustering,
        # pyannote.audio reads a folder, our pipeline class also a file
        "segmentation": "$model/segmentation" + ("" if file == WEIGHTS else f"/{file}"),
        "segmentation_step": settings.segmentation_step,
        "segmentation_batch_size": settings.segmentation_batch_size,
    }
    if settings.needs_embeddings:
        params["embedding_batch_size"] = settings.embedding_batch_size
        params["embedding_exclude_overlap"] = settings.embedding_exclude_overlap
        for part in settings.parts:
            on_hub = {"checkpoint": hub_id, "subfolder": part}
            params[part] = f"$model/{part}" if part in copied else on_hub
        params["share_frames"] = settings.share_frames
        params["embedding_engine"] = settings.embedding_engine
        params["embedding_dtype"] = settings.embedding_dtype
        params["embedding_stretch"] = settings.embedding_stretch
        params["min_clean_ratio"] = settings.min_clean_ratio
        params["constrained_assignment"] = settings.constrained_assignment
    params["median_filter"] = settings.median_filter
    params["min_speakers"] = settings.min_speakers
    params["max_speakers"] = settings.max_speakers
    params["first_channel"] = settings.first_channel
    params["segmentation_dtype"] = settings.segmentation_dtype
    params["segmentation_engine"] = settings.segmentation_engine

    hyper_parameters: dict[str, Any] = {
        "segmentation": {"min_duration_off": settings.min_duration_off}
    }
    if settings.parameters:
        hyper_parameters["clustering"] = dict(settings.parameters)
    return {
        "dependencies": {"pyannote.audio": "4.0.0", "pyannote-prune": __version__},
        "pipeline": {
            "name": PIPELINE,
            "params": params,
        },
        "params": hyper_parameters,
    }
