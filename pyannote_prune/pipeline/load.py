"""Load a pipeline, and reserve the folder of its results"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from pyannote.audio import Pipeline

from ..data.protocol_files import may_have_reference
from ..files.atomic import remove_drafts
from ..files.clutter import files_of
from ..files.folders import Difference, claim
from ..files.locks import in_use, updating
from ..files.moved_folders import is_moved
from ..files.parts import Part
from ..files.replaced import remove_replaced
from .apply import one_line, result_path
from .parts_on_hub import CONFIG, advise_on_parts
from .scores import SCORES

REQUEST, RECORDINGS = "application.yml", "recordings.csv"


def load_pipeline(pipeline: str, device: str = "auto") -> Pipeline:
    """Load a pretrained pipeline on a device

    Parameters
    ----------
    pipeline : str
        Exported folder, or hub id.
    device : str, optional
        "cpu", "cuda", "cuda:1"... Defaults to a GPU if there is one ("auto").

    Raises
    ------
    ValueError
        If there is no such pipeline, or no such device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device)
    rule = f"`pipeline` must be the folder of a pipeline, or a hub id, found {pipeline!r}"
    if (cure := _cure(Path(pipeline))) is not None:
        raise ValueError(f"{rule}: {cure}.")
    try:
        loaded = Pipeline.from_pretrained(pipeline)
    # loading a pipeline raises errors of any kind
    except Exception as error:
        # of the hub, for instance
        advice = advise_on_parts(pipeline) if isinstance(error, OSError) else ""
        raise ValueError(f"{rule}, which cannot be loaded: {one_line(error)}{advice}") from error
    if loaded is None:
        raise ValueError(
            f"{rule}, which could not be downloaded: its conditions may have to be accepted on the "
            "hub."
        )
    return loaded.to(torch.device(device))


def check_is_pipeline(folder: Path) -> None:
    """Check that a folder is that of a pipeline, without loading anything

    Raises
    ------
    ValueError
        If it is not, or does not exist: the message has a way out.
    """
    if not folder.is_dir():
        raise ValueError(
            f"`folder` must be the folder of a pipeline, found {str(folder)!r}, which is none: "
            "export a model first (`pyannote-prune export`)."
        )
    if (cure := _cure(folder)) is not None:
        raise ValueError(
            f"`folder` must be the folder of a pipeline, found {str(folder)!r}: {cure}."
        )


def check_device(device: str) -> None:
    """Check that a device exists

    Raises
    ------
    ValueError
        If it does not.
    """
    try:
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"`device` must be a processor of this machine, found {device!r} ({reason})."
        ) from error


def _cure(path: Path) -> str | None:
    """Way out of an error about a file or folder that exists, but is not a pipeline"""
    if path.is_file() and path.suffix.lower() not in (".yaml", ".yml"):
        return f"export the model first (`pyannote-prune export {path} FOLDER`)"
    if not path.is_dir() or (path / CONFIG).is_file():
        return None
    if (path / "pipeline" / CONFIG).is_file():
        return f"give {str(path / 'pipeline')!r}"
    return f"it has no {CONFIG!r}. Models are exported first (`pyannote-prune export`)"


def check_has_references(pipeline: Pipeline, recordings: Iterable[Mapping[str, Any]]) -> None:
    """Check that there are references, for a pipeline with oracle clustering

    Raises
    ------
    ValueError
        If no recording has one.
    """
    if _is_oracle(pipeline) and not any(map(may_have_reference, recordings)):
        raise ValueError(
            "`recordings` must have references: OracleClustering needs the reference "
            '("annotation") of each recording, found none. Give --protocol, with references, or '
            "export the model with embeddings to diarize recordings."
        )


def check_speakers(pipeline: Pipeline, speakers: Mapping[str, int]) -> None:
    """Check numbers of speakers that are given to a pipeline

    Parameters
    ----------
    pipeline : Pipeline
    speakers : dict of int
        Some of "num_speakers", "min_speakers" and "max_speakers".

    Raises
    ------
    ValueError
        If they are not positive or contradict each other, or if the pipeline does not take them.
    """
    given = " and ".join(f"--{name.replace('_', '-')} {n}" for name, n in speakers.items())
    if any(number < 1 for number in speakers.values()):
        raise ValueError(f"numbers of speakers must be positive, found {given}.")
    if "num_speakers" in speakers and len(speakers) > 1:
        raise ValueError(
            f"`--num-speakers` must be given alone, found {given}: it is the exact number."
        )
    if speakers.get("min_speakers", 1) > speakers.get("max_speakers", float("inf")):
        raise ValueError(f"`--min-speakers` must be at most `--max-speakers`, found {given}.")
    if not speakers.keys() <= inspect.signature(pipeline.apply).parameters.keys():
        raise ValueError(
            f"`pipeline` must be one of speaker diarization for {given}, found a "
            f"{type(pipeline).__name__}: leave them out."
        )
    if speakers and _is_oracle(pipeline):
        raise ValueError(
            f"`pipeline` must not have oracle clustering for {given}: it takes the "
            "speakers of references. Leave them out."
        )


def _is_oracle(pipeline: Pipeline) -> bool:
    return getattr(pipeline, "klustering", None) == "OracleClustering"


def claim_results(
    folder: Path,
    pipeline: str,
    source: Any,
    recordings: Iterable[Mapping[str, Any]] = (),
    part: Part | None = None,
    **request: Any,
) -> list[str]:
    """Reserve a folder for the results of one pipeline on recordings of one origin

    Results of recordings whose audio has changed are removed.

    Parameters
    ----------
    folder : Path
        New or empty folder, or folder of the same pipeline and origin, which may have moved.
    pipeline : str
        Exported folder (the same one if its files are the same), or hub id.
    source : str or list of str
        Origin of recordings, protocol or folders: names are unique within it.
    recordings : iterable of dict, optional
        Recordings of that origin, with "uri" and "audio".
    part : Part, optional
        Part that has these recordings. Other processes may have the other parts at the same time.
    **request
        Other values that results depend on: `subset` and `database` of a protocol, numbers of
        speakers.

    Returns
    -------
    replaced : list of str
        Names of recordings whose results were removed.

    Raises
    ------
    ValueError
        If the folder, or its part, is in use.
    """
    content = {"pipeline": _identity(pipeline), "source": source, **request}
    recordings = [*recordings]
    sources = {one["uri"]: path for one in recordings if (path := _audio_path(one)) is not None}
    results = {one["uri"]: _results(folder, one["uri"]) for one in recordings}
    with in_use(folder, "--into", part), updating(folder):
        claim(folder, REQUEST, content, "--into", partial(_is_same, folder=folder))
        # other parts are writing their results
        ours = [path for paths in results.values() for path in paths]
        shared = [folder / name for name in (REQUEST, RECORDINGS, SCORES)]
        remove_drafts(folder, None if part is None else [*ours, *shared])
        return remove_replaced(folder / RECORDINGS, sources, results)


def _results(folder: Path, uri: str) -> list[Path]:
    """Files of a recording, the one that is written last first"""
    return [result_path(folder, uri), folder / f"{uri}.json"]


def _is_same(difference: Difference, folder: Path) -> bool:
    """Whether a value differs only since a project has moved, or since 0.1.0 did not write it"""
    key, here, there = difference.key, difference.here, difference.there
    if key == "database":
        return there is None or not Path(there).exists() or is_moved(here, there, folder, REQUEST)
    if key == "source" and isinstance(there, list) and isinstance(here, list):
        return not any(Path(path).exists() for path in there) or (
            len(here) == len(there)
            and all(is_moved(*pair, folder, REQUEST) for pair in zip(here, there, strict=True))
        )
    return key == "subset" and there is None


def _audio_path(recording: Mapping[str, Any]) -> Path | None:
    try:
        audio = recording["audio"]
    # file finders raise errors of any kind: `apply_pipeline` reports them with that recording
    except Exception:
        return None
    return Path(audio) if isinstance(audio, str | Path) else None


def _identity(pipeline: str) -> str:
    """Hub id, or digest of the files of a folder"""
    folder = Path(pipeline)
    if not folder.exists():
        return pipeline
    digest = hashlib.sha256()
    for path in sorted(_files(folder)) if folder.is_dir() else [folder]:
        digest.update(os.fsencode(path.relative_to(folder).as_posix()))
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"sha256:{digest.hexdigest()}"


def _files(folder: Path) -> set[Path]:
    """Files that a pipeline is loaded from: `config.yaml`, and its "$model/..." files

    Other files of the folder, by the system or `pyannote-audio optimize` for instance, do not
    count.
    """
    config = folder / CONFIG
    files = {config}
    for value in _values(yaml.safe_load(config.read_text(encoding="utf-8"))):
        if isinstance(value, str) and value.startswith("$model/"):
            part = folder / value.removeprefix("$model/").partition("@")[0]
            files |= {part} if part.is_file() else {*files_of(part)}
    return files


def _values(plain: Any) -> Iterator[Any]:
    """Values of nested dictionaries and lists"""
    if not isinstance(plain, dict | list):
        yield plain
        return
    for value in plain.values() if isinstance(plain, dict) else plain:
        yield from _values(value)
