"""The results of a benchmark: bench.json, and the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nitrogen_jax.labeling.accuracy.score import BINS, summary

COLUMNS = (
    ("clips", "clips"),
    ("coverage", "coverage"),
    ("localisation_recall", "located"),
    ("false_accepts", "false accepts"),
    ("stick_r2", "stick R2"),
    ("stick_r2_p10", "p10"),
    ("stick_r2_bestlag", "best lag"),
    ("button_macro_f1", "button F1"),
    ("onset_f1", "onset F1"),
    ("button_accuracy", "accuracy"),
    ("idle_accuracy", "idle"),
)


def report(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything about some clips.

    overall: clips of known skins and without an overlay, or all clips where no skin is known; core:
    those of them within the bounds in which labels are meant to be good; all_frames: overall
    without dropping unsure frames; unknown: clips whose skin the locator was not given; skins:
    overall by name; cpu: CPU-seconds per hour of video; reliability: how many frames of overall
    are right, by confidence; each: what one difference makes, where that was asked for.
    """
    unknown = [one for one in results if one["kind"] == "unknown"]
    known = [one for one in results if one["kind"] != "unknown"]
    if not any(one["kind"] == "known" for one in known):
        known = list(results)
    core = [one for one in known if one["core"]]
    skins = sorted({one["skin"] for one in known if one["skin"] is not None})
    whole = [{**one, "score": one.get("score_all")} for one in known]
    return {
        "overall": summary(known) if known else None,
        "core": summary(core) if core else None,
        "all_frames": summary(whole) if whole else None,
        "unknown": summary(unknown) if unknown else None,
        "skins": {name: summary([one for one in known if one["skin"] == name]) for name in skins},
        "cpu_seconds_per_hour": _cpu(results),
        "reliability": _reliability([one for one in known if one["kind"] != "none"]),
        "each": _each(known),
        "clips": list(results),
    }


def _each(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Name of a difference -> {overall, all_frames}."""
    names = {name: None for one in results for name in one.get("each", {})}
    found = {}
    for name in names:
        clips = [{**one, **one["each"][name]} for one in results if name in one.get("each", {})]
        whole = [{**one, "score": one.get("score_all")} for one in clips]
        found[name] = {"overall": summary(clips), "all_frames": summary(whole)}
    return found


def _reliability(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each tenth of confidence: frames, and the share of them that are right."""
    counts = [one["reliability"] for one in results if one.get("reliability")]
    found = []
    for at in range(BINS if counts else 0):
        frames, right = (sum(one[kind][at] for one in counts) for kind in (0, 1))
        found.append(
            {
                "from": at / BINS,
                "to": (at + 1) / BINS,
                "frames": frames,
                "right": right / frames if frames else None,
            }
        )
    return found


def _cpu(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    timed = [one for one in results if one.get("video_seconds")]
    hours = sum(one["video_seconds"] for one in timed) / 3600
    totals: dict[str, float] = {}
    for one in timed:
        for stage, seconds in one["cpu_seconds"].items():
            totals[stage] = totals.get(stage, 0.0) + seconds
    return {stage: seconds / hours for stage, seconds in totals.items()} if hours else {}


def rows(content: Mapping[str, Any]) -> list[list[str]]:
    """The rows of the table: groups first, then skins."""
    groups = [(name, content[name]) for name in ("overall", "core", "all_frames", "unknown")]
    groups += list(content["skins"].items())
    return [
        [name, *(_cell(metrics, key) for key, _ in COLUMNS)]
        for name, metrics in groups
        if metrics is not None
    ]


def rows_of_each(content: Mapping[str, Any]) -> list[list[str]]:
    """What one difference makes: of the frames that are kept (COLUMNS), for a second table."""
    groups = [("as it is", content["overall"])]
    groups += [(name, found["overall"]) for name, found in content["each"].items()]
    return [[name, *(_cell(metrics, key) for key, _ in COLUMNS)] for name, metrics in groups]


def _cell(metrics: Mapping[str, Any], key: str) -> str:
    value = metrics[key]
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
