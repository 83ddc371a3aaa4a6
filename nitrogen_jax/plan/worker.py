"""Plans are made in a process of their own: it starts JAX with the devices that it needs.

    python -m nitrogen_jax.plan.worker REQUEST.json ANSWER.json

NOTE: what libtpu writes on its standard error while it looks for a TPU stays out of sight too, and
a compiler that runs out of the host's memory takes nothing else with it.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.plan import chips

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """One plan to make. None: to be chosen, or as the config says.

    Attributes:
        config: a file of configs/.
        overrides: "--a.b=value".
        on: the machine, "tpu:v5e:16x16".
        mesh: "DATA,FSDP".
        sampler: plan the sampler at this batch size, on one chip.
        steps: of the sampler.
        hlo: a file to keep the compiled text in.
    """

    config: str
    on: str
    overrides: tuple[str, ...] = ()
    mesh: str | None = None
    batch: int | None = None
    accumulate: int | None = None
    remat: bool | None = None
    sampler: int | None = None
    steps: int | None = None
    quick: bool = False
    hlo: str | None = None


def ask(request: Request) -> dict[str, Any]:
    """The plan as plain data, from a new process."""
    from nitrogen_jax.plan import aot

    target = chips.target(request.on)
    settings = {**os.environ, **aot.environment(target)}
    root = str(Path(__file__).parents[2])
    settings["PYTHONPATH"] = os.pathsep.join(filter(None, [root, settings.get("PYTHONPATH", "")]))
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        question.write_text(json.dumps(dataclasses.asdict(request)), encoding="utf-8")
        command = [sys.executable, "-m", "nitrogen_jax.plan.worker", str(question), str(answer)]
        done = subprocess.run(
            command, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        logger.info("%s", done.stderr)
        if not answer.is_file():  # not even an exception: killed, or the compiler gave up
            raise NitrogenError(
                f"planning for {request.on} ended with code {done.returncode}, as when the host's "
                f"memory is too small; its last words: {_last_line(done.stderr)}"
            )
        found = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in found:
        raise NitrogenError(found["error"])
    return found


def answer_to(request: Request) -> dict[str, Any]:
    """The plan as plain data, made in this process."""
    from nitrogen_jax import config as configs
    from nitrogen_jax.plan import planner

    target = chips.target(request.on)
    config = configs.load(request.config, request.overrides)
    if request.sampler is not None:
        policy, dtype = _policy(config, request.config), "bfloat16"
        if target.platform == "cpu":
            dtype = "float32"
        steps = request.steps or policy.euler_steps
        plan = planner.plan_sampler(
            policy, target, request.sampler, steps, dtype, quick=request.quick, keep=request.hlo
        )
        return plain(plan)
    config = train_config(config, request.config)
    if request.batch is not None:
        config = dataclasses.replace(config, batch=request.batch)
    if request.mesh is not None:
        data, fsdp = chips.mesh_sizes(request.mesh, target)
        config = dataclasses.replace(config, mesh=type(config.mesh)(data, fsdp))
    plan = planner.plan_step(
        config.check(),
        target,
        accumulate=request.accumulate,
        remat=request.remat,
        quick=request.quick,
        keep=request.hlo,
    )
    return plain(plan)


def plain(plan: Any) -> dict[str, Any]:
    """A plan as JSON holds it, with what follows from its estimate."""
    data = dataclasses.asdict(plan)
    if plan.estimate is not None:
        data["estimate"] |= {"seconds": plan.estimate.seconds, "largest": plan.estimate.largest}
    if data["memory"].get("peak") == float("inf"):
        data["memory"]["peak"] = None  # JSON knows no infinity
    return data


def train_config(config: Any, name: str) -> Any:
    """The config, if it is one of training."""
    from nitrogen_jax.training.train_config import TrainConfig

    if isinstance(config, TrainConfig):
        return config
    raise NitrogenError(
        f"{name}: its config() is a {type(config).__name__}, not a TrainConfig, which a plan of "
        "training needs (--sampler plans a policy)"
    )


def _policy(config: Any, name: str) -> Any:
    from nitrogen_jax.models.configs import PolicyConfig

    task = getattr(config, "task", None)
    found = config if isinstance(config, PolicyConfig) else getattr(task, "policy", None)
    if isinstance(found, PolicyConfig):
        return found.check()
    raise NitrogenError(f"{name}: its config() holds no policy whose sampler could be planned")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def main(argv: Sequence[str]) -> int:
    data: Mapping[str, Any] = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    request = Request(**{**data, "overrides": tuple(data["overrides"])})
    try:
        found = answer_to(request)
    except NitrogenError as error:
        found = {"error": str(error)}
    except Exception as error:  # of the compiler or the config: told by whoever asked
        traceback.print_exc()
        reason = (str(error) or "no message").splitlines()[0]
        found = {"error": f"cannot plan for {request.on}: {type(error).__name__}: {reason}"}
    Path(argv[1]).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
