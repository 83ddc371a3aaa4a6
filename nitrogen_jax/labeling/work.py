"""One video in a worker: its labels are made and staged; the driver puts them into the tree.

A worker may die at any moment and its video may be done twice, on two machines: what it writes is
a folder of its own, the attempt, and counts only when the driver has renamed it into the tree.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nitrogen_jax.files import atomic_path, remove
from nitrogen_jax.labeling import tree_out
from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.remap import VideoFacts
from nitrogen_jax.labeling.result import VideoFailure, VideoLabels
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.tree_out import Unwritable

RECORD = "record.json"  # of an attempt; written last, so an attempt that has it is whole

# Set before NumPy is loaded: every worker has one core.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Labeller(Protocol):
    """Makes the labels of one video; a function at the top of a module, found there by workers."""

    def __call__(
        self,
        path: Path,
        library: Library,
        options: LabelOptions,
        advance: Callable[[int], None],
    ) -> VideoLabels: ...


@dataclass(frozen=True)
class Job:
    """A video that is to be labelled.

    Attributes:
        attempt: the folder that the worker makes and fills; its parent exists.
    """

    video_id: str
    path: str
    attempt: str
    options: LabelOptions = field(default_factory=LabelOptions)
    facts: VideoFacts = field(default_factory=VideoFacts)


@dataclass
class Outcome:
    """What became of a video. Plain data: it is a line of the log.

    Attributes:
        status: "done" or "failed".
        cause, message: why it failed: a word of `VideoFailure`, and one sentence.
        file: path, bytes and modification time in ns.
        frames, seconds: of the whole video.
        rows: frames with labels in the tree.
        short, unsure, held: see `tree_out.Written`.
    """

    video_id: str
    status: str = "done"
    cause: str = ""
    message: str = ""
    file: list[Any] = field(default_factory=list)
    game: str = ""
    frames: int = 0
    seconds: float = 0.0
    chunks: int = 0
    rows: int = 0
    short: int = 0
    unsure: int = 0
    held: int = 0
    skins: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def failed(job: Job, cause: str, message: str) -> Outcome:
    """The outcome of a video that gives no labels."""
    return Outcome(
        job.video_id,
        "failed",
        cause,
        message,
        file_state(job.path),
        job.facts.game,
        options=plain(job.options),
    )


def label_one(
    job: Job,
    library: Library,
    labeller: Labeller,
    advance: Callable[[int], None] = lambda frames: None,
) -> Outcome:
    """Labels a video into its attempt; whatever is wrong with the video is in the outcome.

    Raises:
        Unwritable: the attempt cannot be written, which is not the fault of the video.
    """
    attempt, began, file = Path(job.attempt), time.process_time(), file_state(job.path)
    try:
        os.mkdir(attempt)
    except OSError as error:
        raise Unwritable(f"cannot write {attempt.parent}: {error.strerror}") from None
    try:
        labels = labeller(Path(job.path), library, job.options, advance)
        writing = time.process_time()
        table = job.options.remap
        written = tree_out.write(labels, job.video_id, attempt, job.facts, table)
        if not written.chunks:
            raise _no_chunk(labels)
    except Unwritable:
        remove(attempt)
        raise
    except VideoFailure as error:
        remove(attempt)
        return failed(job, error.cause, str(error))
    except Exception as error:
        remove(attempt)
        reason = str(error).partition("\n")[0]
        return failed(job, "error", f"{job.path}: {type(error).__name__}: {reason}"[:500])
    ended = time.process_time()
    stages = {name: float(seconds) for name, seconds in labels.cpu_seconds.items()}
    stages["write"] = stages.get("write", 0.0) + ended - writing
    stages["other"] = max(ended - began - sum(stages.values()), 0.0)
    outcome = Outcome(
        job.video_id,
        file=file,
        game=job.facts.game,
        frames=labels.frames,
        seconds=round(float(labels.times[-1] - labels.times[0]) + 1 / labels.rate, 6),
        chunks=written.chunks,
        rows=written.rows,
        short=written.short,
        unsure=written.unsure,
        held=written.held,
        skins=sorted({segment.skin for segment in labels.segments}),
        warnings=list(labels.warnings),
        cpu_seconds={name: round(seconds, 4) for name, seconds in stages.items()},
        options=plain(job.options),
    )
    try:
        with atomic_path(attempt / RECORD) as temporary:
            temporary.write_text(json.dumps(outcome.as_json()) + "\n")
    except OSError as error:
        remove(attempt)
        raise Unwritable(f"cannot write {attempt.parent}: {error.strerror}") from None
    return outcome


def _no_chunk(labels: VideoLabels) -> VideoFailure:
    longest = max((one.end - one.start for one in labels.segments), default=0) / labels.rate
    if longest < tree_out.SHORTEST_SECONDS:
        return VideoFailure(
            "too_short",
            f"its overlay is there for {longest:.2f} s at most, where "
            f"{tree_out.SHORTEST_SECONDS:g} s are needed",
        )
    return VideoFailure(
        "low_confidence",
        f"nowhere are {tree_out.SHORTEST_SECONDS:g} s of its labels good enough",
    )


def file_state(path: str | Path) -> list[Any]:
    """By which a file is known again: path, bytes, modification time in ns."""
    try:
        stat = os.stat(path)
    except OSError:
        return [str(path), None, None]
    return [str(path), stat.st_size, stat.st_mtime_ns]


def plain(options: LabelOptions) -> dict[str, Any]:
    """Options as JSON can say them, without what does not decide the labels."""
    said = json.loads(json.dumps(asdict(options)))
    del said["threads"]
    return said
