"""Runs of a sweep as one SLURM job array: a script whose element i trains run i."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from nitrogen_jax.sweep.plan import Run
from nitrogen_jax.sweep.states import LOGS

SCRIPT = "array.sbatch"


def array_script(
    runs: Sequence[Run], config: str, out: Path, root: Path, venv: Path, extra: str, jobs: int
) -> str:
    """The text of the script; what a job does with its nodes is in launch/slurm.sbatch.

    Args:
        root: the checkout.
        venv: an environment that is set up, on a file system that all nodes share.
        extra: what it has beside [jax].
        jobs: elements that may run at the same time, 0 for any number.
    """
    most = f"%{jobs}" if jobs else ""
    cases = "\n".join(
        f"  {index}) run=({shlex.join([config, str(out / run.name), *run.arguments])}) ;;"
        for index, run in enumerate(runs)
    )
    return f"""\
#!/usr/bin/env bash
#SBATCH --array=0-{len(runs) - 1}{most}
#SBATCH --job-name=sweep
#SBATCH --output={out / LOGS}/slurm-%A_%a.out
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
set -euo pipefail
case $SLURM_ARRAY_TASK_ID in
{cases}
esac
export VENV={shlex.quote(str(venv))}
exec bash {shlex.quote(str(root / "launch" / "slurm.sbatch"))} --extra {extra} "${{run[@]}}"
"""


def setup_command(root: Path, venv: Path, extra: str) -> list[str]:
    """Sets up the environment before any job runs: they would all do it at once."""
    extras = "jax" if extra == "none" else f"jax,{extra}"
    text = f"source {shlex.quote(str(root / 'launch' / 'setup.sh'))} && setup_venv "
    return ["bash", "-c", text + shlex.join([str(venv), extras])]


def submit_command(out: Path, options: str) -> list[str]:
    """The submission; `options` are sbatch's, as in "--partition=gpu --time=4:00:00"."""
    return ["sbatch", *shlex.split(options), str(out / SCRIPT)]
