"""Many videos to one label tree: resumed where it stopped, and valid at every moment.

The driver, this module, decides which videos are to be labelled, hands them to a runner, and alone
puts results into the tree and its log. A runner takes jobs and yields them with their outcomes:
`processes.run` on this machine, `cluster.run` on many. Today a worker decodes a video and reads it
with the reader of its own; a reader that batches frames of many videos for one accelerator would
be a third runner, whose workers decode and send crops of the overlay.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from nitrogen_jax.data import video
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.labeling import label_log, label_report, work
from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.remap import Remap, VideoFacts
from nitrogen_jax.labeling.work import Job, Outcome

log = logging.getLogger(__name__)

Advance = Callable[[float], None]

MOST_PROBED = 300  # videos whose length is looked up; that of others follows from their bytes


class Runner(Protocol):
    """Does jobs somewhere; yields each with its outcome."""

    def __call__(
        self, jobs: Iterable[Job], advance: Callable[[str, int], None]
    ) -> Iterator[tuple[Job, Outcome]]: ...


@dataclass(frozen=True)
class Plan:
    """What is to be done to which videos.

    Attributes:
        videos: files; their names without the suffix are the video ids.
        options: for all of them; `options.remap` gives way to the game's own table in `remaps`.
        game: of videos that `facts` does not know.
        facts: video id -> what is known of it.
        remaps: game -> its remap table.
        retry: also videos that have failed before.
    """

    videos: Sequence[Path]
    options: LabelOptions = field(default_factory=LabelOptions)
    game: str = ""
    facts: Mapping[str, VideoFacts] = field(default_factory=dict)
    remaps: Mapping[str, Remap] = field(default_factory=dict)
    retry: bool = False

    def job(self, path: Path, attempt: str) -> Job:
        """The job of one of the videos."""
        facts = self.facts.get(path.stem, VideoFacts(self.game))
        facts = facts if facts.game else replace(facts, game=self.game)
        table = self.remaps.get(facts.game, self.options.remap)
        return Job(path.stem, str(path), attempt, replace(self.options, remap=table), facts)


def label_videos(
    plan: Plan,
    tree: Path,
    runner: Runner,
    bar: Callable[[float], contextlib.AbstractContextManager[Advance]] | None = None,
) -> dict[str, Any]:
    """Labels videos into a tree; returns its report, see `label_report.summary`.

    Args:
        tree: new, or of an earlier run, whose finished videos are left as they are.
        bar: makes `advance(hours)` for so many hours of video.
    """
    videos = by_id(plan.videos)
    with label_log.opened(tree) as known:
        states = {video_id: known.state(video_id) for video_id in videos}
        wanted = ("new", "failed") if plan.retry else ("new",)
        todo = [video_id for video_id, state in states.items() if state in wanted]
        foreign = [video_id for video_id, state in states.items() if state == "foreign"]
        jobs = [plan.job(videos[video_id], known.attempt(video_id)) for video_id in todo]
        with contextlib.ExitStack() as stack:
            progress = _Progress(jobs if bar is not None else [])
            if bar is not None and jobs:
                progress.advance = stack.enter_context(bar(progress.total))
            # NOTE: closed here, so that workers end before the lock does.
            outcomes = stack.enter_context(contextlib.closing(_outcomes(jobs, runner, progress)))
            for job, outcome in outcomes:
                done = outcome.status == "done"
                known.add(outcome, Path(job.attempt) if done else None)
                progress.finished(job)
                if not done:
                    log.info("%s: %s (%s)", outcome.video_id, outcome.message, outcome.cause)
        report = label_report.summary(known.lines, videos.keys(), foreign)
        options = work.plain(plan.options)
        del options["remap"]  # it differs between games
        report["videos"]["done_with_other_options"] = sum(
            state == "done" and not options.items() <= known.lines[video_id]["options"].items()
            for video_id, state in states.items()
        )
        with atomic_path(tree / label_report.REPORT) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n")
    return report


def by_id(videos: Sequence[Path]) -> dict[str, Path]:
    """Video id -> its file, absolute; NitrogenError where two files would have the same id."""
    found: dict[str, Path] = {}
    for path in videos:
        path = path.absolute()
        other = found.setdefault(path.stem, path)
        if other != path:
            raise NitrogenError(
                f"videos {other} and {path} have the same name, which is their id in the tree: "
                "rename one, or label them into different trees"
            )
    return found


def read_list(path: Path) -> list[Path]:
    """The videos of a list: one path a line, relative to the working folder; # begins a comment."""
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise NitrogenError(f"list {path} of videos cannot be read: {error.strerror}") from None
    lines = (line.strip() for line in text.splitlines())
    found = [Path(line) for line in lines if line and not line.startswith("#")]
    if not found or any("\0" in str(one) for one in found):
        raise NitrogenError(f"list {path} of videos: one path a line is needed, and there is none")
    return found


def _outcomes(
    jobs: Sequence[Job], runner: Runner, progress: _Progress
) -> Iterator[tuple[Job, Outcome]]:
    """Those of files that are not there at once, then those of the runner."""
    there = []
    for job in jobs:
        path = Path(job.path)
        if path.is_file():
            there.append(job)
        else:
            what = "is not a file" if path.exists() else "does not exist"
            yield job, work.failed(job, "not_a_video", f"{path} {what}")
    if there:
        yield from runner(there, progress.frames)


# ---------------------------------------------------------------------------------------------
# Progress in hours of video


class _Progress:
    """Counts hours of video, which are estimated before and corrected as videos are finished."""

    def __init__(self, jobs: Sequence[Job]):
        self.advance: Advance = lambda hours: None
        self._hours, self._rate = estimate([Path(job.path) for job in jobs])
        self._hours = dict(zip((job.video_id for job in jobs), self._hours, strict=True))
        self._told: dict[str, float] = {}
        self.total = sum(self._hours.values())

    def frames(self, video_id: str, number: int) -> None:
        """So many frames more of a video have been looked at."""
        told, whole = self._told.get(video_id, 0.0), self._hours.get(video_id, 0.0)
        more = min(number / self._rate / 3600, whole - told)
        self._told[video_id] = told + more
        self.advance(more)

    def finished(self, job: Job) -> None:
        """What has not been told of a video."""
        self.advance(self._hours.get(job.video_id, 0.0) - self._told.pop(job.video_id, 0.0))


def estimate(paths: Sequence[Path]) -> tuple[list[float], float]:
    """Hours of each video and frames a second of all, about.

    Opening every one of many thousands of files takes minutes: lengths of a few hundred are read,
    evenly spread, and those of the others follow from their bytes.
    """
    sizes = [work.file_state(path)[1] or 0 for path in paths]
    step = max(-(-len(paths) // MOST_PROBED), 1)
    probed: dict[int, float] = {}
    frames = 0.0
    for at in range(0, len(paths), step):
        with contextlib.suppress(video.Damaged):
            info = video.probe(paths[at])
            probed[at] = info.seconds / 3600
            frames += info.seconds * info.rate
    hours, known = sum(probed.values()), sum(sizes[at] for at in probed)
    per_byte = hours / known if known else 0.0
    rate = frames / hours / 3600 if hours and frames else 30.0
    guess = [size * per_byte if step > 1 else 0.0 for size in sizes]
    return [probed.get(at, guess[at]) for at in range(len(paths))], rate
