"""Stands for `nitrogen` in tests of sweeps: trains nothing, but ends in every way that it can.

    fake_nitrogen.py train --config F --out DIR --resume [--rate=X] [--mode=M] [--seed=N]

Modes: good (result.json at once), slow (runs until SIGTERM, saves, ends with 0), stubborn (ignores
SIGTERM), fail (ends with 3), twice (is stopped the first time, finishes when it is resumed).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    arguments = sys.argv[1:]
    assert arguments[0] == "train"
    assert "--resume" in arguments
    folder = Path(arguments[arguments.index("--out") + 1])
    values = dict(word[2:].split("=", 1) for word in arguments if "=" in word and word[:2] == "--")
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"gpus {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
    with (folder / "starts").open("a") as file:
        file.write(" ".join(arguments) + "\n")
    mode = values.get("mode", "good")
    if mode == "fail":
        return 3
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "slow":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(not (folder / "saved").write_text("1")))
    if mode in ("slow", "stubborn"):
        (folder / "ready").write_text(str(os.getpid()))
        time.sleep(60)
    if mode == "twice" and not (folder / "saved").exists():
        (folder / "saved").touch()
        return 0
    rate, seed = float(values.get("rate", 1)), float(values.get("seed", 0))
    metrics = {"validation": {"loss": abs(rate - 0.3) + seed, "r2": -rate}, "note": "text"}
    result = {"state": "finished", "step": 10, "metrics": metrics, "seconds": 1.5}
    (folder / "result.json").write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
