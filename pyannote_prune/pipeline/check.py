"""Check that an exported folder is what its card claims"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files.pickles import read_safely
from ..files.sources import PYTORCH
from ..segmentation.licences import is_same_licence
from .card import Claims, digests, read_card
from .clean_process import Trial, try_pipeline
from .facts import Facts
from .load import check_is_pipeline
from .parts_on_hub import advise_on_parts

AGAIN = "Export the folder again (`pyannote-prune export`)."


@dataclass(frozen=True)
class Row:
    """Claim of a card, and what was found

    Parameters
    ----------
    name : str
    claimed, found : str
    problem : str, optional
        Why the check fails, in a sentence. Defaults to none.
    """

    name: str
    claimed: str
    found: str
    problem: str | None = None


def check_pipeline(folder: str | Path) -> list[Row]:
    """Compare an exported folder with what its card claims

    The pipeline is loaded in another process, offline, as pyannote.audio does, and diarizes the
    conversation that comes with pyannote.audio.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    rows : list of Row
        Those with a problem are reasons not to release the folder.

    Raises
    ------
    ValueError
        If it is no folder of a pipeline, or if its card is missing or damaged.
    """
    folder = Path(folder)
    check_is_pipeline(folder)
    claims, licence = read_card(folder)
    rows = [*_file_rows(claims, folder)]
    if unsafe := [*_unsafe_files(folder)]:
        return [*rows, *unsafe]
    trial = try_pipeline(folder)
    if trial.segmentation is not None:
        rows += _fact_rows(claims.segmentation, trial.segmentation)
        rows.append(_licence_row(licence, trial.segmentation))
    return [*rows, _trial_row(trial, folder)]


def _file_rows(claims: Claims, folder: Path) -> Iterator[Row]:
    there = digests(folder)
    for name in sorted({*claims.files, *there}):
        claimed, found = claims.files.get(name), there.get(name)
        problem = None
        if found is None:
            problem = f"{name!r} is missing. {AGAIN}"
        elif claimed is None:
            problem = f"{name!r} is not a file that the card knows: remove it. Or: {AGAIN}"
        elif claimed != found:
            problem = f"{name!r} was replaced, or damaged, since the card was written. {AGAIN}"
        yield Row(name, _digest(claimed), _digest(found), problem)


def _digest(value: Any) -> str:
    return "none" if value is None else str(value)[:12]


def _unsafe_files(folder: Path) -> Iterator[Row]:
    """PyTorch files that are damaged, or hold code, which pyannote.audio would execute"""
    for name in digests(folder):
        if name.endswith(PYTORCH):
            try:
                read_safely(folder / name, mmap=True)
            except ValueError as error:
                yield Row(name, "numbers alone", "something else", str(error))


def _fact_rows(claimed: Facts, found: Facts) -> Iterator[Row]:
    names = {
        "parameters": ("parameters of WavLM", "{:,}"),
        "macs_per_second": ("MACs per second of audio", "{:,}"),
        "sparsity": ("sparsity", "{:.2%}"),
        "duration": ("window (s)", "{:g}"),
        "speakers": ("speakers in a window", "{}"),
        "classes": ("classes", "{}"),
    }
    for key, (name, form) in names.items():
        values = [getattr(facts, key) for facts in (claimed, found)]
        here, there = ("not known" if value is None else form.format(value) for value in values)
        problem = None
        if values[0] != values[1]:
            problem = (
                f"The card claims {here} for {name}, and the segmentation model has {there}: one "
                f"of them was changed. {AGAIN}"
            )
        yield Row(name, here, there, problem)


def _licence_row(licence: str | None, found: Facts) -> Row:
    """Compare the licence of the card with the one that the weights carry"""
    known = found.provenance.licence
    here, there = licence or "not known", known or "not known"
    if known is None or (licence is not None and is_same_licence(licence, known)):
        return Row("licence", here, there)
    owner = found.provenance.owner
    reason = f"that of {owner}, whose weights they come from" if owner else "as was stated"
    return Row(
        "licence",
        here,
        there,
        f"The card gives the licence {here}, and the weights are under {known}, {reason}. {AGAIN}",
    )


def _trial_row(trial: Trial, folder: Path) -> Row:
    name, claimed = "conversation of pyannote.audio", "is diarized"
    if trial.error is not None:
        problem = f"The pipeline does not run offline: {trial.error.rstrip('.')}."
        problem += advise_on_parts(folder)
        return Row(name, claimed, "fails", problem)
    if not trial.speakers:
        problem = "The pipeline found no speech in a conversation: its model may be untrained."
        return Row(name, claimed, "no speech", problem)
    return Row(name, claimed, f"{trial.speakers} speakers, {trial.speech:.1f} s of speech")
