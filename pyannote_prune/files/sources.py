"""Names of models: files, folders, hub ids"""

from __future__ import annotations

from pathlib import Path

# files that hold a segmentation model, in folders of pipelines and of stages
MODELS = ("model.safetensors", "pytorch_model.bin", "model.ckpt")

# suffixes of checkpoints
PYTORCH = (".ckpt", ".bin", ".pt", ".pth")
SAFETENSORS = ".safetensors"

# suffix of models that were converted for other runtimes
ONNX = ".onnx"

# suffixes of files, which names of repositories do not have
SUFFIXES = (*PYTORCH, SAFETENSORS, ONNX, ".yaml", ".yml")


def is_onnx(path: object) -> bool:
    """Whether a path has the suffix of ONNX files"""
    return isinstance(path, str | Path) and str(path).lower().endswith(ONNX)


def check_is_file(path: str | Path) -> None:
    """Check that a checkpoint is a file

    Raises
    ------
    OSError
        If it is a folder, or does not exist: the message suggests a path or a command.
    """
    path = Path(path)
    if path.is_dir():
        found = model_in(path)
        cure = (
            "convert it first (`pyannote-prune convert`), or give a file in it"
            if found is None
            else f"give {str(found)!r}, its segmentation model"
        )
        raise IsADirectoryError(
            f"A checkpoint must be a file, found the folder {str(path)!r}: {cure}."
        )
    if not path.is_file():
        convert = f" Models of the hub are converted first: `pyannote-prune convert {path} FILE`."
        raise FileNotFoundError(
            f"No such file: {str(path)!r}.{convert if looks_like_hub_id(path) else ''}"
        )


def model_in(folder: str | Path) -> Path | None:
    """Find the segmentation model in the folder of a pipeline, or of `pyannote-prune train`"""
    for place in ("segmentation", "pipeline/segmentation", "."):
        for name in MODELS if place != "." else ("model.ckpt",):
            path = Path(folder) / place / name
            if path.is_file():
                return path
    return None


def looks_like_hub_id(name: str | Path) -> bool:
    """Whether a name could be the name of a repository of the hub

    >>> looks_like_hub_id("microsoft/wavlm-base-plus"), looks_like_hub_id("models/tiny.ckpt")
    (True, False)
    """
    parts = str(name).split("/")
    return (
        len(parts) == 2
        and all(part and part[0] not in ".~" for part in parts)
        and not parts[1].lower().endswith(SUFFIXES)
    )


def hub_error(source: str | Path, error: BaseException) -> OSError:
    """Error for a source that is no folder, and that the hub does not have"""
    return OSError(
        f"`source` must be a hub id or a local folder, found {str(source)!r}: there is no such "
        "folder, and no such repository could be reached. Check the spelling, and your connection "
        "(or HF_HUB_OFFLINE). Without network, give a folder that has the files of the repository. "
        f"({error})"
    )
