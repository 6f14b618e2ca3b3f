"""Convert downloaded corpora to the files of `database.yml`"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ...files.atomic import remove_drafts_of, writing
from ...files.locks import in_use
from ...files.replaced import remove_replaced
from ..references import EXACT_DECIMALS, Turn, name_rule, read_rttm, read_uem
from ..subsets import SUBSETS
from ..write import Reference, write_references
from .audio import get_wav_duration, write_first_channel
from .layouts import CORPORA, Corpus
from .recordings import Recording
from .summary import Summary, fit, summarize_subset
from .textgrid import read_textgrid


def prepare(
    corpus: Corpus | str,
    source: Path,
    output: Path = Path("data"),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Summary]:
    """Write the audio, lists, RTTM and UEM of a corpus, as `database.yml` expects them

    Nothing is converted before all files are found and all references are read. Repeat an
    interrupted call to resume it: recordings that were converted are kept, unless their source was
    replaced.

    Parameters
    ----------
    corpus : Corpus or str
        "ami", "aishell4" or "alimeeting".
    source : Path
        Folder where official archives were extracted.
    output : Path, optional
        Folder `data` of `database.yml`. The corpus has its own folder there.
    progress : callable, optional
        Called with the number of converted recordings, and their total.

    Returns
    -------
    summaries : dict of str to Summary
        By subset.

    Raises
    ------
    OSError
        If a file is missing. The message says where to download it.
    ValueError
        If a file is malformed.
    """
    layout = CORPORA[Corpus(corpus)]
    subsets = layout.find(Path(source))
    recordings = [recording for subset in SUBSETS for recording in subsets[subset]]
    check_files(recordings, layout.name, layout.origin)
    references = {recording.uri: read_turns(recording) for recording in recordings}
    regions = {recording.uri: read_regions(recording) for recording in recordings}

    folder = Path(output) / layout.name
    with in_use(folder), writing(folder):
        return _write(folder, subsets, references, regions, progress)


def _write(
    folder: Path,
    subsets: Mapping[str, Sequence[Recording]],
    references: Mapping[str, list[Turn]],
    regions: Mapping[str, list[tuple[float, float]]],
    progress: Callable[[int, int], None],
) -> dict[str, Summary]:
    recordings = [recording for subset in SUBSETS for recording in subsets[subset]]
    for name in ("audio", "lists", "rttm", "uem"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    audio_files = {one.uri: folder / "audio" / f"{one.uri}.wav" for one in recordings}
    remove_replaced(
        folder / "recordings.csv",
        {one.uri: one.audio for one in recordings},
        {uri: [path] for uri, path in audio_files.items()},
    )
    summaries, done = {}, 0
    for subset in SUBSETS:
        durations = {}
        for recording in subsets[subset]:
            audio = audio_files[recording.uri]
            if not audio.is_file():
                remove_drafts_of(audio)
                write_first_channel(recording.audio, audio)
            durations[recording.uri] = get_wav_duration(audio)
            done += 1
            progress(done, len(recordings))
        turns = {uri: fit(references[uri], duration) for uri, duration in durations.items()}
        write_references(
            {
                uri: Reference(turns[uri], _within(regions[uri], duration))
                for uri, duration in durations.items()
            },
            {
                "uri": folder / "lists" / f"{subset}.lst",
                "annotation": folder / "rttm" / f"{subset}.rttm",
                "annotated": folder / "uem" / f"{subset}.uem",
            },
            EXACT_DECIMALS,
        )
        summaries[subset] = summarize_subset(references, turns, durations)
    return summaries


def check_files(recordings: Sequence[Recording], name: str, origin: str) -> None:
    """Check that all files of all recordings are there, and that names can be written

    Raises
    ------
    FileNotFoundError
        If a file is missing: the message says where to download it.
    ValueError
        If pyannote.database would read the name of a recording as another one.
    """
    missing = {}
    for recording in recordings:
        if (rule := name_rule(recording.uri)) is not None:
            raise ValueError(
                f"Names of recordings must be {rule}, found {recording.uri!r} "
                f"({str(recording.audio)!r}): rename it."
            )
        files = (recording.audio, recording.reference, recording.regions)
        paths = [path for path in files if path is not None]
        absent = [path for path in paths if not path.is_file()]
        if absent:
            missing[recording.uri] = absent, [path for path in paths if path not in absent]
    if missing:
        uri, (absent, present) = next(iter(missing.items()))
        others = f", and {len(missing) - 1} other incomplete recordings" if len(missing) > 1 else ""
        raise FileNotFoundError(
            f"`source` must hold the audio and the reference of each recording of {name}, found "
            f"{_and(present) or 'nothing'} for {uri!r}, but no {_and(absent)}{others}: download "
            f"from {origin}."
        )


def _and(paths: Sequence[Path]) -> str:
    return " and ".join(repr(str(path)) for path in paths)


def read_turns(recording: Recording) -> list[Turn]:
    """Speaker turns of the reference, sorted by start

    Raises
    ------
    ValueError
        If the file is malformed, or if pyannote.database would read the name of a speaker as
        another one.
    """
    path = recording.reference
    turns = read_textgrid(path) if path.suffix == ".TextGrid" else read_rttm(path)
    for turn in turns:
        if (rule := name_rule(turn.speaker)) is not None:
            raise ValueError(
                f"Names of speakers must be {rule}, found {turn.speaker!r} in {str(path)!r}: "
                "rename this speaker."
            )
    return sorted(turns)


def read_regions(recording: Recording) -> list[tuple[float, float]]:
    """Annotated regions, which may end after the recording"""
    return [(0.0, math.inf)] if recording.regions is None else read_uem(recording.regions)


def _within(regions: Iterable[tuple[float, float]], duration: float) -> list[tuple[float, float]]:
    """Crop regions to the recording"""
    return [(max(0.0, start), min(end, duration)) for start, end in regions if start < duration]
