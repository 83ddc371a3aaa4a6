"""Folders of results for tests, made by hand: every outcome, with clips that really are videos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nitrogen_jax.evaluation.task import Verdict

TASKS = {
    "supertux/igloo": ("navigation", 2, False, "Reach the igloo at the end of the level."),
    "openarena/frag": ("combat", 3, False, "Frag the bot <once> & survive."),
    "procgen/maze": ("navigation", 2, True, "Reach the cheese."),
    "ale/pong": ("game-specific", 2, False, "Win a point."),
}
SKIPPED = {"etr/finish": "extremetuxracer is not installed: apt-get install extremetuxracer"}

# task -> (outcome, progress) of its episodes
HAND = {
    "supertux/igloo": [("success", 1.0), ("failure", 0.4), ("success", 1.0), ("crash", 0.2)],
    "openarena/frag": [("failure", 0.0), ("failure", 0.5), ("time-out", 0.1), ("failure", 0.25)],
    "procgen/maze": [("policy error", 0.0)] * 4,
    "ale/pong": [("success", 1.0)] * 3 + [("failure", 0.75)],
}
WEAKER = {
    "supertux/igloo": [("failure", 0.2), ("failure", 0.1), ("success", 1.0), ("failure", 0.2)],
    "ale/pong": [("failure", 0.5)] * 4,
}


def make(
    folder: Path,
    outcomes: dict[str, Sequence[tuple[str, float]]] = HAND,
    policy: str = "checkpoint <b>7</b>",
    clips: Sequence[tuple[str, int]] = (),
    **about: Any,
) -> Path:
    """Writes a folder of results.

    Args:
        clips: (task, episode) of those that have one.
    """
    folder.mkdir(parents=True)
    tags = {
        name: {
            **{"category": category, "dimensions": dimensions, "procedural": procedural},
            **{"goal": goal, "seconds": 30.0, "repeats": True},
        }
        for name, (category, dimensions, procedural, goal) in TASKS.items()
    }
    skipped = {} if about.get("skipped") == {} else SKIPPED
    for name in skipped:
        tags[name] = {
            "category": "navigation",
            "dimensions": 3,
            "procedural": False,
            "goal": "Ski.",
        }
    whole = {
        "format": "nitrogen eval 1",
        "policy": {"name": policy, "kind": "checkpoint", "identity": "a" * 64},
        "suite": "default",
        "tasks": sorted(tags),
        "tags": tags,
        "skipped": skipped,
        "episodes": 4,
        "seed": 0,
        "created": "2026-11-30T12:00:00+00:00",
        "command": "nitrogen eval ckpt/7 --suite default --episodes 4 --out 'a b'",
        "machine": {"processor": "a processor", "cores": 2},
        "versions": {"nitrogen_jax": "1.0", "numpy": "2.3"},
        "play": {"execute": 8},
        **about,
    }
    (folder / "eval.json").write_text(json.dumps(whole))
    rows = []
    for task, found in outcomes.items():
        for episode, (outcome, progress) in enumerate(found):
            clip = f"clips/{task.replace('/', '__')}-{episode}.mp4"
            if (task, episode) in clips:
                write_clip(folder / clip, progress)
            rows.append(
                {
                    **{"task": task, "episode": episode, "seed": 100 + episode, "outcome": outcome},
                    **{"progress": progress, "facts": {"points": 10 * progress, "how": "<i>"}},
                    **{"steps": 90, "frame_skip": 2, "seconds": 3.0, "wall": 4.5},
                    "why": "" if outcome in ("success", "failure") else f"it was a {outcome}",
                    "clip": clip if (task, episode) in clips else None,
                }
            )
    (folder / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_clip(path: Path, progress: float) -> None:
    """Two seconds of a picture that gets brighter."""
    from nitrogen_jax.evaluation.clips import Clip

    clip = Clip(path, fps=15)
    for step in range(30):
        frame = np.full((60, 80, 3), 8 * step, np.uint8)
        clip.see(frame, None, Verdict(None, progress * step / 29))
    clip.close()
