"""Renders clips, labels them from the encoded video, scores them: in processes, resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.data import worker_process
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.labeling.accuracy import each
from nitrogen_jax.labeling.accuracy.plans import Case, core, given
from nitrogen_jax.labeling.accuracy.score import reliability, score
from nitrogen_jax.labeling.label_video import label_ways
from nitrogen_jax.labeling.locate.locate import iou
from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.result import UNKNOWN_SKIN, VideoFailure, VideoLabels
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.skins.skin import States
from nitrogen_jax.labeling.synth import clips
from nitrogen_jax.labeling.synth.footage import FromFolder, MadeUp
from nitrogen_jax.labeling.work import ONE_THREAD

LOCATED = 0.9  # intersection over union


@dataclass(frozen=True)
class Setting:
    """What holds for all clips of a benchmark.

    Attributes:
        known: what the locator is given.
        footage: folder of videos and images, None for made-up pictures.
        preset: x264's.
        keep: whether videos stay.
        each: whether it is told what each step is worth.
    """

    known: Library
    skins_unknown: bool
    footage: Path | None
    preset: str
    keep: bool
    options: LabelOptions
    out: Path
    each: bool = False


def run_all(
    cases: Sequence[Case], setting: Setting, workers: int, advance: Callable[[float], None]
) -> list[dict[str, Any]]:
    """All clips, in their order; those whose result is there already are not done again."""
    folder = setting.out / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    todo = []
    for case in cases:
        before = _before(folder / f"{case.plan.name}.json", case, setting)
        if before is None:
            todo.append(case)
        else:
            results[case.plan.name] = before
            advance(1)
    if workers <= 1 or len(todo) <= 1:
        for case in todo:
            results[case.plan.name] = clip(case, setting)
            advance(1)
    else:
        pool = ProcessPoolExecutor(workers, get_context("spawn"), worker_process.start)
        with worker_process.environment(ONE_THREAD), pool:
            with worker_process.ignoring_interrupts():  # which the workers inherit
                futures = {pool.submit(clip, case, setting): case for case in todo}
            try:
                for future in as_completed(futures):
                    results[futures[future].plan.name] = future.result()
                    advance(1)
            except BaseException:
                pool.shutdown(cancel_futures=True)  # else all others are done first
                raise
    return [results[case.plan.name] for case in cases]


def _before(path: Path, case: Case, setting: Setting) -> dict[str, Any] | None:
    """The result of an earlier call for the same clip."""
    try:
        result = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    wanted = json.loads(json.dumps(_origin(case, setting)))
    same = isinstance(result, dict) and all(
        result.get(name) == value for name, value in wanted.items()
    )
    same = same and ("each" in result or not setting.each)
    return result if same else None


def _origin(case: Case, setting: Setting) -> dict[str, Any]:
    """Everything that decides a result."""
    skins = repr([(skin.name, skin.geometry) for skin in setting.known.skins])
    return {
        "plan": asdict(case.plan),
        "picture": _picture(setting),
        "options": asdict(setting.options),
        "skins_unknown": setting.skins_unknown,
        "library": hashlib.sha256(skins.encode()).hexdigest()[:16],
    }


def _picture(setting: Setting) -> dict[str, Any]:
    """What decides a video beside its plan."""
    footage = setting.footage
    return {"footage": None if footage is None else str(footage), "preset": setting.preset}


def _render(case: Case, setting: Setting, path: Path) -> None:
    """Renders a clip, unless its video was kept; a note beside that tells what it is of."""
    note = path.with_suffix(".plan.json")
    said = json.dumps({"plan": asdict(case.plan), **_picture(setting)}) + "\n"
    if path.exists() and note.exists() and note.read_text() == said:
        return
    note.unlink(missing_ok=True)
    footage = MadeUp() if setting.footage is None else FromFolder(setting.footage)
    clips.render(case.plan, case.skin, case.trace, footage, path, setting.preset)
    with atomic_path(note) as temporary:
        temporary.write_text(said)


def clip(case: Case, setting: Setting) -> dict[str, Any]:
    """Renders, labels and scores one clip; its result is also written beside it."""
    path = setting.out / "clips" / f"{case.plan.name}.mp4"
    if case.plan.codec == "vp9":
        path = path.with_suffix(".mkv")
    _render(case, setting, path)
    did, _ = clips.truth(case.plan, case.skin, case.trace)
    box = None if case.skin is None else case.plan.at.box(case.skin)
    buttons = () if case.skin is None else case.skin.buttons
    library = given(case, setting.known, setting.skins_unknown)
    label = score_each if setting.each else label_and_score
    result = label(path, library, setting.options, did, buttons, box)
    result |= {
        "name": case.plan.name,
        "kind": case.kind,
        "frames": case.plan.frames,
        "skin": case.plan.skin,
        "layout": None if case.skin is None else case.skin.geometry,
        "core": core(case.plan, case.skin),
        **_origin(case, setting),
    }
    with atomic_path(setting.out / "clips" / f"{case.plan.name}.json") as temporary:
        temporary.write_text(json.dumps(result) + "\n")
    if not setting.keep:
        path.unlink(missing_ok=True)
        path.with_suffix(".plan.json").unlink(missing_ok=True)
    return json.loads(json.dumps(result))


def label_and_score(
    path: Path,
    library: Library,
    options: LabelOptions,
    true: States,
    buttons: Sequence[str],
    box: tuple[float, float, float, float] | None,
) -> dict[str, Any]:
    """Labels a video and compares with its truth.

    Args:
        true: of every frame; those that the video has more or fewer of are not compared.
        box: where the overlay is; None where that is not known, or where there is none.
    """
    return _scored(path, library, [options], true, buttons, box)[0]


def score_each(
    path: Path,
    library: Library,
    options: LabelOptions,
    true: States,
    buttons: Sequence[str],
    box: tuple[float, float, float, float] | None,
) -> dict[str, Any]:
    """The same, and under "each" what it says where one thing is different."""
    read, placed = each.ways(options), each.elsewhere(options)
    first, *others = _scored(path, library, [options, *read.values()], true, buttons, box)
    others += _scored(path, library, list(placed.values()), true, buttons, box)
    return {**first, "each": dict(zip([*read, *placed], others, strict=True))}


def _scored(
    path: Path,
    library: Library,
    ways: Sequence[LabelOptions],
    true: States,
    buttons: Sequence[str],
    box: tuple[float, float, float, float] | None,
) -> list[dict[str, Any]]:
    try:
        if not library.skins and not ways[0].discover:
            raise VideoFailure("no_overlay", f"video {path}: the library has no skin left")
        found = label_ways(path, library, ways)
        if not found[0].segments:
            raise VideoFailure("no_overlay", f"video {path}: no element of it can be read")
    except VideoFailure as failure:
        return [_failed(failure) for _ in ways]
    return [_compared(labels, library, true, buttons, box) for labels in found]


def _failed(failure: VideoFailure) -> dict[str, Any]:
    missing = {"accepted": False, "located": False, "score": None, "score_all": None}
    return {**missing, "cause": failure.cause, "message": str(failure), "iou": 0.0}


def _compared(
    labels: VideoLabels,
    library: Library,
    true: States,
    buttons: Sequence[str],
    box: tuple[float, float, float, float] | None,
) -> dict[str, Any]:
    number = min(labels.frames, true.number)
    read, shown = labels.states.take(slice(number)), true.take(slice(number))
    segment = max(labels.segments, key=lambda one: one.end - one.start)
    made = segment.skin == UNKNOWN_SKIN
    there = segment.box if made else segment.at.box(library[segment.skin])
    overlap = None if box is None else iou(there, box)
    return {
        "accepted": True,
        "located": overlap is None or bool(overlap >= LOCATED),
        "iou": overlap,
        "read_as": segment.skin,
        "opacity": segment.opacity,
        "locator_score": segment.score,
        "cpu_seconds": dict(labels.cpu_seconds),
        "video_seconds": labels.frames / labels.rate if labels.rate else 0.0,
        "warnings": list(labels.warnings),
        "score": score(read, shown, labels.valid[:number], buttons),
        "score_all": score(read, shown, np.ones(number, bool), buttons),
        "reliability": reliability(read, shown, labels.confidence[:number], buttons),
    }


def read_truth(path: Path) -> States:
    """States from a table with the columns of label files."""
    from nitrogen_jax import gamepad
    from nitrogen_jax.data.label_tables import parse_actions

    try:
        data = path.read_bytes()
    except OSError as error:
        raise NitrogenError(f"truth {path} cannot be read: {error.strerror}") from None
    pad = gamepad.decode(parse_actions(data, None, str(path)).actions)
    zeros = np.zeros((pad.shape[0], 2), np.float32)
    return States(pad.buttons, pad.left, pad.right, zeros)
