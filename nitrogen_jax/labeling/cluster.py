"""Videos labelled by the machines of a Ray cluster.

The videos, the skins and the tree lie on a file system that all machines share under the same
paths, and all have the same version of this package. A machine that goes away costs what was at
work on it, which is done again elsewhere; a task leaves nothing in the tree but a folder of its
own, so that even one that is done twice counts once. Ray's own retries are off: they would repeat
a video that kills its worker as well.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from nitrogen_jax import __version__
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import remove
from nitrogen_jax.labeling import work
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.tree_out import Unwritable
from nitrogen_jax.labeling.work import Job, Labeller, Outcome

MOST_NODES = 5  # machines that may go away under one video before it counts as failed
MOST_CRASHES = 2  # of its worker; a machine that is shut down kills its workers first
PATIENCE = 10.0  # seconds for a machine to answer
LEAST_AHEAD = 64  # tasks that are submitted at least: waiting ones make a cluster grow


def run(
    jobs: Iterable[Job],
    advance: Callable[[str, int], None] = lambda video_id, frames: None,
    *,
    library: Library,
    labeller: Labeller,
    address: str,
    workers: int | None = None,
) -> Iterator[tuple[Job, Outcome]]:
    """Yields every job with its outcome, in the order in which they end.

    Args:
        advance: is not told anything: tasks answer once, at their end.
        address: of a cluster's head, "auto" for the cluster of this machine, "local" for a new one
            on this machine alone.
        workers: videos at work at the same time, at most; None: one for each core.
    """
    ray = connect(address, workers)
    running: dict[Any, Job] = {}
    try:
        task = ray.remote(num_cpus=1, max_retries=0, max_calls=0, scheduling_strategy="SPREAD")(
            _task
        )
        given = ray.put((library, labeller))
        counts: dict[str, tuple[int, int]] = {}  # video id -> machines and workers lost
        waiting = iter(jobs)
        while True:
            for job in islice(waiting, _ahead(ray, workers) - len(running)):
                running[task.remote(job, [given], __version__)] = job
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1)
            for one in done:
                job = running.pop(one)
                lost, sentence = _lost(ray, one)
                if lost is None:
                    counts.pop(job.video_id, None)
                    yield job, _outcome(ray.get(one))
                    continue
                remove(Path(job.attempt))  # nobody will finish it
                nodes, crashes = counts.get(job.video_id, (0, 0))
                nodes, crashes = nodes + (lost == "node"), crashes + (lost == "worker")
                counts[job.video_id] = nodes, crashes
                if nodes >= MOST_NODES or crashes >= MOST_CRASHES:
                    yield job, work.failed(job, "error", f"{job.path}: {sentence}")
                    continue
                again = replace(job, attempt=f"{job.attempt}-{secrets.token_hex(4)}")
                running[task.remote(again, [given], __version__)] = again
    finally:
        for one in running:
            with contextlib.suppress(Exception):  # the cluster may be gone
                ray.cancel(one, force=True)
        ray.shutdown()


def load():
    """The module `ray`, which tells nobody that it is used and prints nothing."""
    # NOTE: read when Ray is loaded, or starts a process.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Or else it writes of machines that are lost to standard output, amid a report in JSON.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")
    import ray

    return ray


def connect(address: str, workers: int | None):
    """The module `ray`, connected; NitrogenError where there is no such cluster."""
    ray = load()
    if ray.is_initialized():
        raise NitrogenError("this process is connected to a Ray cluster already")
    _check(address)
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    try:
        if address == "local":
            # A cluster of this process alone: nobody else can know its token, which Ray would
            # otherwise write into the home folder, for all clusters that are started later.
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            ray.init("local", num_cpus=workers, include_dashboard=False, **quiet)
        else:
            ray.init(address, **quiet)
    except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise NitrogenError(
            f"no Ray cluster at {address!r:.100} can be used ({reason:.200}): start one with "
            "ray start --head, or set RAY_AUTH_MODE=token where it wants the token of ~/.ray"
        ) from None
    return ray


def _check(address: str) -> None:
    """Refuses an address where nobody answers: Ray would try for more than a minute."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise NitrogenError(
            f"--cluster is {address!r:.100}, where host:port of a cluster's head, auto or local is "
            "needed"
        )
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise NitrogenError(f"there is no Ray cluster at {address!r:.100}: {reason}") from None


def _ahead(ray, workers: int | None) -> int:
    """How many tasks are to be submitted, running ones included."""
    if workers is not None:
        return workers
    return max(2 * int(ray.cluster_resources().get("CPU", 0)), LEAST_AHEAD)


def _lost(ray, task: Any) -> tuple[str | None, str]:
    """What was lost under a task that has ended, "node" or "worker", and one sentence."""
    errors = ray.exceptions
    try:
        ray.get(task)
    except (errors.NodeDiedError, errors.ObjectLostError):
        return "node", "the machines on which it was labelled went away, one after the other"
    except errors.OutOfMemoryError:
        return "worker", "the worker process was ended because the machine ran out of memory"
    except errors.WorkerCrashedError:
        return "worker", "the worker process was killed, perhaps for want of memory"
    except errors.RayTaskError as error:
        raise _ours(error.cause) from None
    except errors.RayError as error:
        reason = str(error).partition("\n")[0]
        return "worker", f"Ray says {type(error).__name__}: {reason:.200}"
    return None, ""


def _ours(cause: BaseException) -> NitrogenError:
    """An exception of a task, all of which concern the whole run."""
    if isinstance(cause, NitrogenError):
        return cause
    reason = str(cause).partition("\n")[0]
    return NitrogenError(f"a machine of the cluster cannot label: {type(cause).__name__}: {reason}")


def _outcome(answer: tuple[str, Outcome | str]) -> Outcome:
    kind, value = answer
    if kind == "unwritable":
        raise Unwritable(value)
    return value


# ---------------------------------------------------------------------------------------------
# In a worker

_given: dict[Any, tuple[Library, Labeller]] = {}  # kept from task to task, with what it caches


def _task(job: Job, given: list[Any], version: str) -> tuple[str, Outcome | str]:
    """Labels one video.

    Args:
        given: of one reference to (library, labeller); in a list it is not fetched for each task.
        version: of the driver's package.
    """
    import cv2
    import ray

    node = ray.util.get_node_ip_address()
    if version != __version__:
        return "unwritable", (
            f"machine {node} has nitrogen_jax {__version__} and the driver {version}, where all "
            "need the same"
        )
    if not Path(job.attempt).parent.is_dir():
        return "unwritable", (
            f"machine {node} does not see {Path(job.attempt).parent}: the tree has to lie on a "
            "file system that all machines share"
        )
    cv2.setNumThreads(1)  # OMP_NUM_THREADS is 1 already: Ray sets it for a task of one core
    if given[0] not in _given:
        _given.clear()
        _given[given[0]] = ray.get(given[0])
    library, labeller = _given[given[0]]
    try:
        return "outcome", work.label_one(job, library, labeller)
    except Unwritable as error:
        return "unwritable", str(error)
