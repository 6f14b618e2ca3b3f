"""Kill `pyannote-prune train` again and again, started by `test_crash.py`

First just before each file is moved to its final name, one after the other in the same run, then
(optionally) at random moments. Children are forks of a process that has imported everything, so
that most of their time is spent on the recipe. The parent must not compute: threads do not survive
a fork.
"""

import json
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"

import pyannote_prune.cli.train  # noqa: F401
from pyannote_prune.cli import app


def train(recipe: Path, output: Path, kill_before: str | None = None) -> int:
    """Start the command in a child, which may kill itself before it writes a file"""
    child = os.fork()
    if child:
        return child
    log = os.open(f"{output}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.replace = watched(os.replace, output, kill_before)
    os.rename = watched(os.rename, output, kill_before)
    try:
        app(["train", str(recipe), "--output", str(output)], standalone_mode=False)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def watched(move, output: Path, kill_before: str | None):
    """Same function, which also logs the destinations inside a run"""

    def watch(source, destination, **options):
        if Path(destination).is_relative_to(output):
            # drafts of folders have names at random
            name = re.sub(r"\.[^./]*\.draft", ".draft", str(Path(destination).relative_to(output)))
            if name == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)
            with open(f"{output}.moves", "a") as file:
                file.write(f"{name}\n")
        return move(source, destination, **options)

    return watch


def status_of(child: int) -> int:
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"the command failed: status {status}")
    return status


def kill_before_each_file(recipe: Path, folder: Path) -> list[dict]:
    """One run, killed before each file is moved to its final name"""
    moves = Path(f"{folder / 'undisturbed'}.moves").read_text().splitlines()
    output, kills = folder / "killed", []
    for name in dict.fromkeys(moves):
        status = status_of(train(recipe, output, kill_before=name))
        kills.append({"before": name, "killed": os.WIFSIGNALED(status), **left(output)})
    status_of(train(recipe, output))
    return kills


def kill_at_random(recipe: Path, folder: Path, num_kills: int, longest: float) -> list[dict]:
    """Several runs, each killed until it ends"""
    draw, kills, runs = random.Random(0), [], 0
    while len(kills) < num_kills:
        output = folder / f"killed{runs}"
        runs += 1
        while len(kills) < num_kills:
            child = train(recipe, output)
            time.sleep(draw.uniform(0, longest))
            if os.waitpid(child, os.WNOHANG)[0]:
                break
            os.kill(child, signal.SIGKILL)
            status_of(child)
            kills.append({"before": None, "killed": True, **left(output)})
        else:
            status_of(train(recipe, output))
    return kills


def left(output: Path) -> dict:
    """Drafts, and finished stages, after a kill"""
    return {
        "drafts": [path.name for path in output.rglob(".*.draft")],
        "done": sorted(path.parent.name for path in output.glob("*/model.ckpt")),
    }


def main():
    recipe, folder, num_kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    start = time.monotonic()
    status_of(train(recipe, folder / "undisturbed"))
    longest = 0.4 * (time.monotonic() - start)
    kills = kill_before_each_file(recipe, folder)
    kills += kill_at_random(recipe, folder, num_kills, longest)
    (folder / "kills.json").write_text(json.dumps(kills))


if __name__ == "__main__":
    main()
