"""Miniatures of the official layouts: a different sound in each channel"""

from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from scipy.io import wavfile
from torchcodec.encoders import AudioEncoder

from pyannote_prune.data.corpora import aishell4

DURATION = 2.0
# quotes, and text that looks like the format itself
TEXT = '你好 "嗯" intervals [2]: xmin = 3 '
TURNS = [(0.25, 1.0, "alice"), (0.75, 1.5, "bob")]
AMI = {"train": ["IS1000a", "ES2002a"], "dev": ["IS1008a"], "test": ["EN2002a"]}
AISHELL4 = {
    "train_L": ["20200706_L_R001S02C01"],
    "train_M": ["20200616_M_R001S02C01"],
    "train_S": ["20200623_S_R001S01C01"],
    "test": ["L_R003S01C02", "S_R003S01C01"],
}
ALIMEETING = {
    "Train_Ali_far": ["R0003_M0046_MS002", "R0003_M0047_MS006"],
    "Eval_Ali/Eval_Ali_far": ["R8001_M8004_MS801"],
    "Test_Ali/Test_Ali_far": ["R8002_M8002_MS802"],
}


def sound(name: str, num_channels: int = 8, duration: float = DURATION) -> np.ndarray:
    """(num_samples, num_channels) int16 noise, always the same for a name"""
    rng = np.random.default_rng(crc32(name.encode()))
    shape = (round(duration * 16000), num_channels)
    samples = rng.integers(-32768, 32768, shape).astype(np.int16)
    samples[0, 0], samples[1, 0] = -32768, 32767
    return samples


def write_audio(path: Path, samples: np.ndarray, sample_rate: int = 16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".flac":
        waveform = torch.from_numpy(samples.T.astype(np.float32) / 32768)
        AudioEncoder(waveform, sample_rate=sample_rate).to_file(path)
    else:
        wavfile.write(path, sample_rate, samples)


def rttm(uri: str, turns=TURNS) -> str:
    return "".join(
        f"SPEAKER {uri} 1 {start} {end - start} <NA> <NA> {speaker} <NA> <NA>\n"
        for start, end, speaker in turns
    )


def write_text(path: Path, text: str, encoding: str = "utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)


def write_ami(source: Path) -> Path:
    setup = source / "AMI-diarization-setup"
    for part, uris in AMI.items():
        # lost meetings are in the official list, without audio
        lost = ["IS1003b", "IS1007d"] if part == "train" else []
        write_text(setup / "lists" / f"{part}.meetings.txt", "\n".join(uris + lost) + "\n")
        for uri in uris:
            audio = source / "amicorpus" / uri / "audio" / f"{uri}.Array1-01.wav"
            # official files are mono, but for one
            write_audio(audio, sound(uri, num_channels=2 if uri == "ES2002a" else 1))
            write_text(setup / "only_words" / "rttms" / part / f"{uri}.rttm", rttm(uri))
            write_text(setup / "uems" / part / f"{uri}.uem", f"{uri} 1 0.000 {DURATION + 1:.6f}\n")
    return source


def write_aishell4(source: Path) -> Path:
    for part, uris in AISHELL4.items():
        for uri in [*uris, *aishell4.DEVELOPMENT.get(part, ())]:
            write_audio(source / part / "wav" / f"{uri}.flac", sound(uri))
            write_text(source / part / "TextGrid" / f"{uri}.rttm", rttm(uri))
            write_text(source / part / "TextGrid" / f"{uri}.TextGrid", "not read")
            # hidden files of archives made by macOS
            write_text(source / part / "wav" / f"._{uri}.flac", "nothing")
    return source


def write_alimeeting(source: Path) -> Path:
    grid, styles = textgrid(TURNS), iter([(True, "utf-8"), (False, "utf-16"), (False, "utf-8")])
    for folder, names in ALIMEETING.items():
        for name in names:
            write_audio(source / folder / "audio_dir" / f"{name}.wav", sound(name))
            is_long, encoding = next(styles, (True, "utf-16"))
            path = source / folder / "textgrid_dir" / f"{name[:11]}.TextGrid"
            write_text(path, grid if is_long else shorten(grid), encoding)
    return source


WRITERS = {"ami": write_ami, "aishell4": write_aishell4, "alimeeting": write_alimeeting}


def textgrid(turns, duration: float = DURATION, text: str = TEXT) -> str:
    """Long text format, one tier per speaker, after a tier of points; turns with blank text too"""
    speakers = sorted({speaker for _, _, speaker in turns} | {"silent"})
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += ["xmin = 0", f"xmax = {duration}", "tiers? <exists>", f"size = {len(speakers) + 1}"]
    lines += ["item []:", "    item [1]:", '        class = "TextTier"', '        name = "bell"']
    lines += ["        xmin = 0", f"        xmax = {duration}", "        points: size = 1"]
    lines += ["        points [1]:", "            number = 1.5", '            mark = "ding"']
    for item, speaker in enumerate(speakers, start=2):
        mine = [(start, end, text) for start, end, other in turns if other == speaker]
        mine = mine if speaker == "silent" else [(0.0, 0.1, " "), *mine]
        lines += [f"    item [{item}]:", '        class = "IntervalTier"']
        lines += [f'        name = "{speaker}"', "        xmin = 0", f"        xmax = {duration}"]
        lines += [f"        intervals: size = {len(mine)}"]
        for number, (start, end, said) in enumerate(mine, start=1):
            lines += [f"        intervals [{number}]:", f"            xmin = {start!r}"]
            quoted = said.replace('"', '""')
            lines += [f"            xmax = {end!r}", f'            text = "{quoted}"']
    return "\n".join(lines) + "\n"


def shorten(grid: str) -> str:
    """Short text format: values alone"""
    values = []
    for line in grid.splitlines():
        if " = " in line:
            values.append(line.split(" = ", 1)[1])
        elif line.startswith("tiers?"):
            values.append("<exists>")
    header = [f"File type = {values[0]}", f"Object class = {values[1]}", ""]
    return "\n".join([*header, *values[2:]]) + "\n"
