"""Records from labels and videos: many videos at once, resumed where it stopped.

What a build has done is beside the records, in `.build/`: the plan, a report for each video, and
the records of videos whose file of records is not complete yet. The same command again goes on
where it stopped, and takes up videos that have come since.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import multiprocessing
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from array_record.python.array_record_module import ArrayRecordReader

from nitrogen_jax.data import (
    activity,
    build_plan,
    build_video,
    label_tree,
    records,
    splits,
    worker_process,
)
from nitrogen_jax.data.build_plan import BuildOptions, Shard, Survey
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path, remove

log = logging.getLogger(__name__)

STATE = ".build"
REPORT = "build_report.json"
VERSION = 1


@dataclass(frozen=True)
class Bars:
    """What a build tells about its progress; each makes `advance(amount)`."""

    labels: Callable[[float, str], Any]  # (total, unit)
    hours: Callable[[float], Any]


@dataclass
class Summary:
    """What came out of a build, plain data."""

    splits: dict[str, dict[str, float]] = field(default_factory=dict)
    videos: dict[str, int] = field(default_factory=dict)  # status -> number
    left_out: dict[str, int] = field(default_factory=dict)  # cause -> chunks
    tables: dict[str, int] = field(default_factory=dict)  # "processed" or "raw" -> chunks
    hours_by_game: dict[str, float] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)  # where, cause, message
    warnings: list[dict[str, str]] = field(default_factory=list)


def build(
    tree_path: Path,
    videos: Path,
    out: Path,
    options: BuildOptions,
    workers: int = 1,
    bars: Bars | None = None,
) -> Summary:
    """Builds `out`, a dataset of records; goes on with one that was begun with the same options.

    Args:
        tree_path: a label tree, as folders or tarballs.
        videos: folder of videos named `<video_id>.<ext>`.
        workers: processes.
    """
    options.records.check()
    options.splits.check()
    if workers < 1:
        raise NitrogenError(f"workers is {workers}, where at least 1 is needed")
    tree = label_tree.open_tree(tree_path)
    if not videos.is_dir():
        raise NitrogenError(f"folder {videos} of videos does not exist")
    with _locked(out) as state:
        _check_options(state, options)
        found = _survey(tree, videos, state, bars)
        files = build_plan.find_videos(videos, found.videos)
        split = splits.divide({n: v.games for n, v in found.videos.items()}, options.splits)
        work = _Work(out, state, options, found, files, split)
        work.plan()
        work.run(workers, bars)
        return work.finish()


# ---------------------------------------------------------------------------------------------
# State


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[Path]:
    """The state folder of a build, which nobody else may work on at the same time."""
    state = out / STATE
    if not state.is_dir():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise NitrogenError(f"cannot build in {out}: it is not empty and not a build's folder")
        if not out.absolute().parent.is_dir():
            raise NitrogenError(f"cannot build {out}: {out.absolute().parent} does not exist")
        state.mkdir(parents=True)
    with open(state / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NitrogenError(f"{out} is being built by another process: wait for it") from None
        for name in ("parts", "reports"):
            (state / name).mkdir(exist_ok=True)
        _sweep(out, state)  # after a process that was killed
        try:
            yield state
        finally:
            _sweep(out, state)  # after workers that were stopped


def _sweep(out: Path, state: Path) -> None:
    """Removes files that were being written when their writer ended."""
    for folder in (out, out / activity.FOLDER, state, state / "parts", state / "reports"):
        for left in folder.glob(".*.tmp-*"):
            remove(left)


def _check_options(state: Path, options: BuildOptions) -> None:
    path, now = state / "options.json", options.as_json()
    if not path.exists():
        _write_json(path, now)
        return
    before = _read_json(path)
    for name, old, new in _differences(before, now):
        raise NitrogenError(
            f"{state.parent} was begun with {name} {old!r} and is now asked for with {new!r}: "
            "build into another folder, or give the same options"
        )


def _differences(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))
    elif before != now:
        yield name, before, now


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NitrogenError(f"{path} cannot be read: {error}") from None


def _write_json(path: Path, data: Any) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _survey(tree: label_tree.LabelTree, videos: Path, state: Path, bars: Bars | None) -> Survey:
    present = {p.stem for p in videos.iterdir()}

    def keep(video_id: str) -> Path | None:
        return state / "labels" if video_id in present else None

    with contextlib.ExitStack() as stack:
        advance = lambda amount: None  # noqa: E731
        if bars is not None:
            advance = stack.enter_context(bars.labels(tree.size(), tree.size_unit))
        return build_plan.survey(tree, keep, advance)


# ---------------------------------------------------------------------------------------------
# Work


@dataclass
class _Work:
    out: Path
    state: Path
    options: BuildOptions
    survey: Survey
    files: dict[str, Path]
    split: dict[str, str]
    shards: list[Shard] = field(default_factory=list)

    def plan(self) -> None:
        """Reads the plan of the last time and adds the videos that have come since."""
        path, before = self.state / "plan.json", []
        if path.exists():
            before = [Shard(s["split"], s["number"], tuple(s["videos"])) for s in _read_json(path)]
            for shard in before:
                for name in shard.videos:
                    if self.split.get(name, shard.split) != shard.split:
                        raise NitrogenError(
                            f"{self.out}: video {name} was in split {shard.split} and would now "
                            f"be in {self.split[name]}: the labels have changed; build into "
                            "another folder"
                        )
        # A video that failed gets another chance, in a file of its own, when it has changed.
        again = {name for name in self.files if self._changed_after_failure(name)}
        before = [
            Shard(s.split, s.number, tuple(n for n in s.videos if n not in again)) for s in before
        ]
        wanted = {name: self.survey.videos[name] for name in self.files}
        per_file = self.options.chunks_per_file
        per_file = per_file or build_plan.CHUNKS_PER_FILE[self.options.records.codec]
        self.shards = build_plan.plan_shards(wanted, self.split, before, per_file)
        _write_json(path, [asdict(shard) for shard in self.shards])
        for name in again:  # not before the plan: its old file of records may be complete
            self._report_path(name).unlink()

    def run(self, workers: int, bars: Bars | None) -> None:
        """Builds what is not there, and puts complete files of records together."""
        shard_of = {name: shard for shard in self.shards for name in shard.videos}
        for name in shard_of.keys() - self.files.keys():
            if not self._done(name):  # it was there when the plan was made
                gone = build_video.Report(name, "missing", "its file has gone")
                _write_json(self._report_path(name), {**gone.as_json(), "file": None})
        todo = [name for name in shard_of if not self._done(name)]
        seconds = {name: one.seconds for name, one in self.survey.videos.items()}
        with contextlib.ExitStack() as stack:
            advance = lambda amount: None  # noqa: E731
            if bars is not None and todo:
                hours = sum(seconds[name] for name in todo) / 3600
                advance = stack.enter_context(bars.hours(hours))
            for shard in self.shards:
                self._join(shard)
            for name in self._built(todo, workers):
                advance(seconds[name] / 3600)
                self._join(shard_of[name])

    def _built(self, todo: list[str], workers: int) -> Iterator[str]:
        """Builds videos in processes of their own; yields each that is done."""
        # NOTE: spawn, because the parent may have threads (JAX, OpenCV) that fork would break.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(workers, max(len(todo), 1)), context, worker_process.start)
        try:
            with worker_process.ignoring_interrupts():  # which the workers, started here, inherit
                running = {pool.submit(_work, *self._job(name)): name for name in todo}
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    name = running.pop(one)
                    try:
                        one.result()
                    except BrokenProcessPool:
                        raise NitrogenError(
                            f"a worker process died, perhaps for want of memory, while {name} was "
                            "among the videos at work: what is finished is kept; run it again"
                        ) from None
                    yield name
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _job(self, name: str) -> tuple[build_video.Task, build_video.RecordOptions, Path, Path]:
        folders = tuple(sorted(self.survey.videos[name].folders))
        task = build_video.Task(name, str(self.files[name]), folders)
        return task, self.options.records, self._part_path(name), self._report_path(name)

    def _join(self, shard: Shard) -> None:
        """Makes the file of a shard whose videos are all done out of their parts."""
        target = self.out / records.shard_name(shard.split, shard.number)
        if not target.exists():
            if not all(map(self._done, shard.videos)):
                return
            parts = [self._part_path(n) for n in shard.videos if self._report(n)["records"]]
            table = activity.table_path(self.out, shard.split, shard.number)
            table.parent.mkdir(exist_ok=True)
            tables = [activity.read_table(build_video.activity_file(part)) for part in parts]
            whole = pa.concat_tables(tables) if tables else activity.SCHEMA.empty_table()
            activity.write_table(table, whole)
            records.write_file(target, _read_raw(parts))
        for name in shard.videos:  # not before the file is there
            remove(self._part_path(name))
            remove(build_video.activity_file(self._part_path(name)))

    def finish(self) -> Summary:
        """Writes the metadata that makes the files a dataset, and the report."""
        summary = self._summary()
        found: dict[str, records.Shards] = {}
        for split, shards in build_plan.by_split(self.shards).items():
            reports = [[self._report(name) for name in shard.videos] for shard in shards]
            found[split] = records.Shards(
                tuple(sum(r["records"] for r in one) for one in reports),
                sum(r["num_bytes"] for one in reports for r in one),
            )
        records.write_metadata(self.out, found, "Chunks of recorded play.")
        shutil.rmtree(self.state / "labels", ignore_errors=True)
        _write_json(self.out / REPORT, asdict(summary))
        return summary

    def _summary(self) -> Summary:
        summary, statuses, causes = Summary(), Counter(), Counter()
        hours: Counter[str] = Counter()
        tables: Counter[str] = Counter()
        for name, one in sorted(self.survey.videos.items()):
            report = self._report(name) if self._done(name) else None
            if report is None:
                folder, reason = one.url or "no address known", "no file of this name"
                report = asdict(build_video.Report(name, "missing", f"{reason} ({folder})"))
            statuses[report["status"]] += 1
            if report["status"] != "done":
                message = f"video {name}: {report['reason']}"
                problem = {"where": name, "cause": report["status"], "message": message}
                summary.problems.append(problem)
                causes[report["status"]] += one.chunks
            summary.problems += report["dropped"]
            summary.warnings += report["warnings"]
            causes.update(problem["cause"] for problem in report["dropped"])
            tables.update(report["tables"])
            hours[", ".join(sorted(one.games))] += report["seconds"] / 3600
            split = summary.splits.setdefault(self.split[name], dict.fromkeys(_COUNTED, 0))
            for key in _COUNTED:
                split[key] += report[key] if key != "videos" else report["records"] > 0
        told = {problem["where"] for problem in summary.problems}
        unusable = [one for one in self.survey.unusable if one["where"] not in told]
        summary.problems += unusable
        causes.update(one["cause"] for one in unusable)
        summary.videos, summary.left_out = dict(statuses), dict(causes)
        summary.tables = dict(tables)
        summary.hours_by_game = {game: h for game, h in hours.most_common() if h}
        return summary

    # -- one video

    def _part_path(self, name: str) -> Path:
        return self.state / "parts" / _file_name(name)

    def _report_path(self, name: str) -> Path:
        return self.state / "reports" / f"{_file_name(name)}.json"

    def _done(self, name: str) -> bool:
        return self._report_path(name).exists()

    def _report(self, name: str) -> dict[str, Any]:
        return _read_json(self._report_path(name))

    def _changed_after_failure(self, name: str) -> bool:
        if not self._done(name):
            return False
        report = self._report(name)
        return report["status"] != "done" and report["file"] != _file_state(self.files[name])


_COUNTED = ("videos", "chunks", "records", "pictures", "seconds", "num_bytes")


def _file_name(video_id: str) -> str:
    # NOTE: ids come from outside: no slash, no leading dot, not too long for a file system.
    return f"v-{quote(video_id, safe='')[:200]}"


def _file_state(path: Path) -> list[Any]:
    stat = path.stat()
    return [path.name, stat.st_size, stat.st_mtime_ns]


def _read_raw(parts: list[Path]) -> Iterator[bytes]:
    for part in parts:
        reader = ArrayRecordReader(str(part))
        try:
            for at in range(reader.num_records()):
                yield reader.read([at])[0]
        finally:
            reader.close()


# ---------------------------------------------------------------------------------------------
# In a worker


def _work(
    task: build_video.Task, options: build_video.RecordOptions, part: Path, report_path: Path
) -> None:
    """Builds one video; its report is written last and says that it is done."""
    state = _file_state(Path(task.file))
    try:
        report = build_video.build_video(task, options, part)
        _write_json(report_path, {**report.as_json(), "file": state})
    except OSError as error:
        raise records.WriteError(f"cannot write {part.parent}: {error.strerror}") from None
