"""Options of commands that simulate conversations"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

import typer

from ..data.simulation.voices import Excerpt, count_unused, folders_without_audio
from ..files.messages import shorten
from .errors import print_line


class Speakers(str, Enum):
    """Speakers of subsets"""

    apart = "apart"
    shared = "shared"


SPEAKERS = typer.Option(
    help="Whether training, development and test conversations have different speakers (apart), or "
    "different recordings of the same ones (shared). Defaults to apart if there are enough: as "
    "many for each as the largest number of speakers in a conversation.",
    show_default=False,
)
TEST_SPEAKERS = typer.Option(
    help="Speaker of the test conversations, who is in no other: name, pattern (test-*), or text "
    "file with one name per line. Repeat for several. Test conversations then have no other "
    "speakers.",
    show_default=False,
)


def print_unused(folder: Path, voices: Mapping[str, Sequence[Excerpt]]) -> None:
    """Print which files and folders of speakers are not used, if any"""
    others = [others] if (others := count_unused(folder, voices)) else []
    if empty := folders_without_audio(folder):
        others.append(f"folders without audio: {shorten(empty)}")
    if others:
        print_line(f"Left out of {folder}: {', '.join(others)}")
