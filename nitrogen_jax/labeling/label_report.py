"""What a labelled tree amounts to: videos, causes of failure, coverage, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

REPORT = "label_report.json"
MOST_WARNINGS = 1000


def summary(
    lines: Mapping[str, Mapping[str, Any]], asked: Collection[str], foreign: Collection[str] = ()
) -> dict[str, Any]:
    """The report of a tree, plain data.

    Args:
        lines: video id -> its line in the log (`work.Outcome`).
        asked: the videos that this run was about.
        foreign: those of them whose labels the log does not know.
    """
    done = [one for one in lines.values() if one["status"] == "done"]
    bad = {name: one for name, one in lines.items() if one["status"] == "failed"}
    total = {
        key: sum(one[key] for one in done)
        for key in ("frames", "seconds", "rows", "chunks", "short", "unsure", "held")
    }
    hours, cpu, by_game = total["seconds"] / 3600, Counter(), Counter()
    for one in done:
        cpu.update(one["cpu_seconds"])
        by_game[one["game"]] += one["seconds"] / 3600
    skins = Counter(skin for one in done for skin in one["skins"])
    warnings = [
        {"video_id": one["video_id"], "message": message}
        for one in done
        for message in one["warnings"]
    ]
    return {
        "videos": {
            "asked": len(asked),
            "done": len(done),
            "failed": len(bad),
            "foreign": len(foreign),
            "asked_and_failed": sum(name in bad for name in asked),
            "not_yet": sum(name not in lines and name not in foreign for name in asked),
        },
        "failed": dict(Counter(one["cause"] for one in bad.values()).most_common()),
        "problems": [
            {
                "video_id": name,
                "path": (one["file"] or [""])[0],
                "cause": one["cause"],
                "message": one["message"],
            }
            for name, one in sorted(bad.items())
        ],
        "warnings": warnings[:MOST_WARNINGS],
        "warnings_in_all": len(warnings),
        "hours": hours,
        "frames": total["frames"],
        "labelled_frames": total["rows"],
        "coverage": total["rows"] / total["frames"] if total["frames"] else 0.0,
        "chunks": total["chunks"],
        "left_out_frames": {
            "outside_segments": total["frames"] - total["rows"] - total["short"] - total["unsure"],
            "short_tail": total["short"],
            "unsure": total["unsure"],
        },
        "held_frames": total["held"],
        "hours_by_game": dict(by_game.most_common()),
        "skins": dict(skins.most_common()),
        "cpu_seconds_per_hour": {
            stage: seconds / hours for stage, seconds in sorted(cpu.items()) if hours
        },
        "cpu_seconds_per_hour_in_all": sum(cpu.values()) / hours if hours else 0.0,
    }
