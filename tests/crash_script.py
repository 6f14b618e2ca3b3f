"""Kill `pyannote-prune train` again and again, started by `test_crash.py`

Children are forks of a process that has imported everything, so that most of their time goes to the
recipe. It must not compute anything: threads do not survive a fork.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"

from pyannote_prune.__main__ import app


def train(recipe: Path, output: Path) -> int:
    """Start the command in a child"""
    child = os.fork()
    if child:
        return child
    log = os.open(f"{output}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        app(["train", str(recipe), "--output", str(output)], standalone_mode=False)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def is_over(child: int) -> bool:
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid and status:
        raise SystemExit(f"the command failed: status {status}")
    return bool(pid)


def wait(child: int):
    while not is_over(child):
        time.sleep(0.01)


def kill_at(child: int, moment: float, folder: Path | None) -> bool:
    """Kill after some seconds, and then (not always) as soon as a checkpoint is being written

    Returns
    -------
    killed : bool
        Otherwise, the command was over before.
    """
    end = time.monotonic() + moment
    while time.monotonic() < end:
        if is_over(child):
            return False
        time.sleep(0.01)
    while folder and not any(folder.glob("*/checkpoints/.*")):
        if is_over(child):
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main():
    recipe, folder, num_kills, share = sys.argv[1:]
    recipe, folder, draw = Path(recipe), Path(folder), random.Random(0)
    start = time.monotonic()
    wait(train(recipe, folder / "undisturbed"))
    longest = float(share) * (time.monotonic() - start)

    kills, runs = [], 0
    while len(kills) < int(num_kills):
        output = folder / f"killed{runs}"
        runs += 1
        while True:
            child = train(recipe, output)
            if len(kills) == int(num_kills):
                wait(child)
                break
            in_checkpoint = output if len(kills) % 2 else None
            if not kill_at(child, draw.uniform(0, longest), in_checkpoint):
                break
            stages = [path.parent.name for path in output.glob("*/checkpoints")]
            done = [path.parent.name for path in output.glob("*/model.ckpt")]
            drafts = [path.name for path in output.glob("*/checkpoints/.*")]
            kills.append({"stages": sorted(stages), "done": sorted(done), "drafts": drafts})
    (folder / "kills.json").write_text(json.dumps(kills))


if __name__ == "__main__":
    main()
