"""Diarize windows of a WAV file (16 kHz, 16 bits) with NumPy and ONNX Runtime alone

python onnx_without_torch.py model.onnx conversation.wav

Prints start, end (in seconds) and speaker of each turn. Speakers are those of one window: "2.1" is
the first one of the second window. Who is who, from window to window, takes speaker embeddings.
"""

import json
import sys
import wave
from itertools import combinations

import numpy as np
import onnxruntime


def read(path):
    """Read the first channel: (num_samples,)"""
    with wave.open(path, "rb") as file:
        if file.getframerate() != 16000 or file.getsampwidth() != 2:
            sys.exit(f"Convert it first: ffmpeg -i {path} -ar 16000 -c:a pcm_s16le converted.wav")
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        return samples[:: file.getnchannels()].astype(np.float32) / 32768


def decide(scores, num_speakers, max_speakers):
    """Who speaks, (num_frames, num_speakers), from log-probabilities of sets of speakers"""
    speakers = range(num_speakers)
    sets = [chosen for size in range(max_speakers + 1) for chosen in combinations(speakers, size)]
    table = np.array([[speaker in chosen for speaker in speakers] for chosen in sets])
    return table[scores.argmax(-1)]


def main(model, recording):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    size, shift = int(metadata["receptive_field_size"]), int(metadata["receptive_field_shift"])
    specifications = json.loads(metadata["specifications"])
    speakers = len(specifications["classes"]), specifications["powerset_max_classes"]
    window, samples = int(metadata["window_size"]), read(recording)
    for index, start in enumerate(range(0, len(samples), window)):
        part = samples[start : start + window]
        part = np.pad(part, (0, max(0, size - len(part))))
        (scores,) = session.run(["scores"], {"waveforms": part[None, None]})
        # nobody speaks before and after, so that each turn has a start and an end
        active = np.pad(decide(scores[0], *speakers), ((1, 1), (0, 0))).astype(int)
        for speaker, changes in enumerate(np.diff(active, axis=0).T):
            # half-way between the centres of two frames
            times = start + (size - shift) / 2 + shift * np.flatnonzero(changes)
            for first, last in (times / 16000).reshape(-1, 2):
                print(f"{first:.2f} {last:.2f} {index + 1}.{speaker + 1}")


if __name__ == "__main__":
    main(*sys.argv[1:])
