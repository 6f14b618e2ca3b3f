"""Command `simulate`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer
from rich.progress import MofNCompleteColumn, Progress

from ..data.protocol import check_references, load_protocol
from ..data.simulation import protocol as simulation
from ..data.simulation.speakers import select_speakers
from ..data.simulation.turn_statistics import TurnStatistics
from ..data.simulation.voices import find_voices
from .errors import console, print_line, resumable, run_in
from .voices import SPEAKERS, TEST_SPEAKERS, Speakers, print_unused

DEFAULT = simulation.Simulation()


@run_in(resumable)
def simulate(
    voices: Annotated[
        Path,
        typer.Argument(
            help="Folder of recordings: one sub-folder per speaker, or one file per speaker and "
            "index.csv.",
            file_okay=False,
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Output folder.", file_okay=False)],
    like: Annotated[
        Path | None,
        typer.Option(help="database.yml that defines --protocol.", dir_okay=False),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Real conversations to imitate: turns of its training set are measured. Defaults "
            "to AMI meetings."
        ),
    ] = None,
    train: Annotated[
        int, typer.Option(help="Number of training conversations.")
    ] = DEFAULT.num_train,
    development: Annotated[
        int, typer.Option(help="Number of development conversations.")
    ] = DEFAULT.num_development,
    test: Annotated[int, typer.Option(help="Number of test conversations.")] = DEFAULT.num_test,
    duration: Annotated[
        float, typer.Option(help="Duration of each conversation, in seconds.")
    ] = DEFAULT.duration,
    min_speakers: Annotated[
        int, typer.Option(help="Minimum number of speakers in a conversation.")
    ] = DEFAULT.min_speakers,
    max_speakers: Annotated[
        int, typer.Option(help="Maximum number of speakers in a conversation.")
    ] = DEFAULT.max_speakers,
    speed: Annotated[
        list[float],
        typer.Option(
            help="Factor of the speed (and pitch) of speakers. Repeat for several: each speaker "
            "has a voice at each speed."
        ),
    ] = list(DEFAULT.speeds),  # noqa: B006
    overlap: Annotated[
        float, typer.Option(help="Factor of the probability of overlapping turns (0: none).")
    ] = DEFAULT.overlap,
    snr: Annotated[
        tuple[float, float], typer.Option(help="Lowest and highest signal-to-noise ratio, in dB.")
    ] = cast(tuple[float, float], DEFAULT.snr),
    clean: Annotated[bool, typer.Option("--clean", help="Add no noise: --snr is ignored.")] = False,
    t60: Annotated[
        tuple[float, float],
        typer.Option(help="Shortest and longest reverberation time, in seconds (0 0: none)."),
    ] = (0.0, 0.0),
    level: Annotated[
        float, typer.Option(help="Largest gain or attenuation of a speaker, in dB.")
    ] = DEFAULT.level,
    seed: Annotated[int, typer.Option(help="Random seed.")] = DEFAULT.seed,
    name: Annotated[str, typer.Option(help="Name of the database.")] = DEFAULT.name,
    speakers: Annotated[Speakers | None, SPEAKERS] = None,
    test_speakers: Annotated[list[str] | None, TEST_SPEAKERS] = None,
    repeat: Annotated[
        bool,
        typer.Option(
            "--repeat",
            help="Draw whole recordings again and again, as in release 0.1.0. By default, they are "
            "cut at pauses, and a conversation uses no stretch of speech twice.",
        ),
    ] = False,
):
    """
    Simulate conversations from recordings of single speakers (VOICES), and write a protocol

    Turns, pauses and overlaps follow statistics of real meetings, or of your own conversations
    (--like and --protocol). Training, development and test conversations have different speakers
    if there are enough: speakers.csv says which. Run the same command again to resume.
    """
    if (like is None) != (protocol is None):
        raise ValueError(
            "`--like` and `--protocol` go together, found only one of them: the first one is a "
            "file, the second one is the name of a protocol that it defines."
        )
    statistics = None
    if like is not None and protocol is not None:
        # no preprocessors: audio files may be missing
        real = load_protocol(like, protocol, preprocessors={})
        check_references(real, "train")
        statistics = TurnStatistics.measure(real.train())
    found = find_voices(voices)
    options = simulation.Simulation(
        name=name,
        duration=duration,
        num_train=train,
        num_development=development,
        num_test=test,
        min_speakers=min_speakers,
        max_speakers=max_speakers,
        speeds=tuple(speed),
        overlap=overlap,
        snr=None if clean else snr,
        t60=t60 if any(t60) else None,
        level=level,
        seed=seed,
        speakers=speakers and speakers.value,
        test_speakers=select_speakers(test_speakers or [], found),
        repeat=repeat,
    )
    print_unused(voices, found)
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as bar:
        task = bar.add_task("Conversations", total=None)

        def advance(done: int, total: int):
            bar.update(task, completed=done, total=total)

        database = simulation.simulate(voices, output, options, statistics, advance, print_line)
    print_line(f"Wrote {database}")
    console.print(f"Protocol: {name}.SpeakerDiarization.Conversations", highlight=False)
