"""A program that reads an epoch and is killed: it writes each batch and its state in one line.

`python -m tests.support.loader_kills FOLDER JOURNAL`: goes on from the last whole line.
"""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from eta_data import TrainingSet

EPOCHS = 2
PAUSE_SECONDS = 0.002


def read_on(folder: Path, journal: Path) -> None:
    """Read the rest, a line per batch: its rows and where the loader stands after it."""
    loader = TrainingSet.open(folder, "acme").arrow(4, window_rows=100, streams=3, columns=["row"])
    with journal.open("a+b") as file:
        lines = whole_lines(journal)
        file.truncate(sum(map(len, lines)))
        if lines:
            loader.load_state_dict(json.loads(lines[-1])["state"])
        while loader.epoch < EPOCHS:
            for batch in loader:
                line = {"rows": batch.column("row").to_pylist(), "state": loader.state_dict()}
                file.write((json.dumps(line) + "\n").encode())
                file.flush()
                time.sleep(PAUSE_SECONDS)


def whole_lines(journal: Path) -> list[bytes]:
    """The lines that end."""
    content = journal.read_bytes() if journal.exists() else b""
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)


def killed(folder: Path, journal: Path, kills: int, seed: int) -> int:
    """Run the program and kill it so often, then let it end; return how often it was killed."""
    chance = random.Random(seed)
    command = [sys.executable, "-m", "tests.support.loader_kills", str(folder), str(journal)]
    journal.touch()
    done = 0
    for _ in range(kills):
        before = journal.stat().st_size
        process = subprocess.Popen(command)
        while process.poll() is None and journal.stat().st_size <= before:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        if process.poll() is None:
            process.kill()
            done += 1
        process.wait()
    subprocess.run(command, check=True, timeout=600)
    return done


if __name__ == "__main__":
    read_on(Path(sys.argv[1]), Path(sys.argv[2]))
