"""Crop speaker turns to the end of their audio

Segmentation pads the last window with zeros, and pyannote.audio (4.0.7) keeps turns that are found
in the padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
from pyannote.core import Annotation, Segment

from ..data.decoding import get_duration

# in seconds: times are written in milliseconds, where a shorter turn would have no duration
SHORTEST = 0.001


def crop_to_audio(
    output: DiarizeOutput | Annotation, file: Mapping[str, Any]
) -> DiarizeOutput | Annotation:
    """Crop the output of a speaker diarization pipeline to the audio of its file

    Parameters
    ----------
    output : DiarizeOutput or Annotation
    file : dict
        File that was diarized, with "audio", or "waveform" and "sample_rate".

    Returns
    -------
    output : DiarizeOutput or Annotation
        Same type, unchanged before the end of the audio. Embeddings of speakers without any turn
        left are removed.
    """
    if isinstance(output, Annotation):
        return crop(output, get_duration(file)) if output else output
    before = output.speaker_diarization
    if not before:
        return output
    duration = get_duration(file)
    after = crop(before, duration)
    embeddings = output.speaker_embeddings
    if embeddings is not None:
        kept = set(after.labels())
        embeddings = embeddings[[label in kept for label in before.labels()]]
    return replace(
        output,
        speaker_diarization=after,
        exclusive_speaker_diarization=crop(output.exclusive_speaker_diarization, duration),
        speaker_embeddings=embeddings,
    )


def crop(annotation: Annotation, duration: float) -> Annotation:
    """Cut turns at the end of the audio, and leave out those that start after it

    Parameters
    ----------
    annotation : Annotation
    duration : float
        Duration of the audio, in seconds.

    Examples
    --------
    >>> annotation = Annotation()
    >>> annotation[Segment(1, 3)], annotation[Segment(4, 5)] = "A", "B"
    >>> print(crop(annotation, duration=2.5))
    [ 00:00:01.000 -->  00:00:02.500] _ A
    """
    cropped = annotation.empty()
    for segment, track, label in annotation.itertracks(yield_label=True):
        part = segment
        if segment.end > duration:
            part = Segment(segment.start, duration)
            if part.duration < SHORTEST:
                continue
        cropped[part, cropped.new_track(part, candidate=track)] = label
    return cropped
