"""What the commands of the README need to run for real, small and made here; and its commands.

Stand-ins have the names of the README: `ng.pt` is the tiny policy of the golden arrays, `demo/` a
made-up data set, `runs/tiny` two updates of a small network.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "nitrogen_jax").glob("*/README.md")))
PROGRAMS = ("nitrogen ", "launch/", "./launch/", "bash ", "ssh ", "pip ", "python ", "sbatch ")
# Two updates of a small network.
SMALL_TRAINING = (
    *("--steps=2", "--batch=2", "--data.workers=0", "--optimizer.warmup=1", "--optimizer.decay=0"),
    *("--task.policy.dit.depth=2", "--task.policy.vision.depth=1", "--task.draws_per_frame=1"),
    *("--validation.every=None", "--checkpoints.every=1"),
)


class Command(NamedTuple):
    """One command of a page, as it is written and as words."""

    page: str
    line: int
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)


class Block(NamedTuple):
    """A fenced block: its language, the line of its fence, its text."""

    page: str
    line: int
    language: str
    text: str


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page, and those by indentation, whose language is ""."""
    found, fence, start, indented = [], None, 0, []
    lines = [*path.read_text(encoding="utf-8").splitlines(), ""]
    for number, line in enumerate(lines, 1):
        if fence is not None:
            if line.strip() == "```":
                text = "\n".join(lines[start : number - 1])
                found.append(Block(path.name, start, fence, text))
                fence = None
        elif line.startswith("```"):
            fence, start = line[3:].strip(), number
        elif line.startswith("    ") and (indented or not lines[number - 2].strip()):
            indented.append(line[4:])
        elif indented:
            text = "\n".join(indented)
            found.append(Block(path.name, number - 1 - len(indented), "", text))
            indented = []
    return found


def commands(path: Path) -> list[Command]:
    """All commands of a page: lines of bash, joined where a backslash ends them."""
    found = []
    for block in blocks(path):
        if block.language not in ("bash", ""):
            continue
        text, start = "", block.line
        for number, line in enumerate(block.text.splitlines(), block.line + 1):
            start = start if text else number
            text += line.strip()
            if text.endswith("\\"):
                text = text[:-1]
                continue
            if text and not text.startswith("#"):
                found.append(Command(block.page, start, text))
            text = ""
    return found


class Shop:
    """Makes what is asked for, once, below a folder, by the very commands where that is quick."""

    def __init__(self, folder: Path, run: Callable[..., None]):
        self.folder, self._run = folder, run

    def bring(self, name: str, into: Path) -> None:
        """Puts a copy of something into another folder, under its own name."""
        made, wanted = self.make(name), into / name
        wanted.parent.mkdir(parents=True, exist_ok=True)
        if made.is_dir():
            shutil.copytree(made, wanted, dirs_exist_ok=True)
        else:
            shutil.copy(made, wanted)

    def make(self, name: str) -> Path:
        """Where it lies here; it is made if it does not yet."""
        made = self.folder / name
        if not made.exists():
            made.parent.mkdir(parents=True, exist_ok=True)
            getattr(self, "_" + re.sub(r"\W", "_", name))(made)
        return made

    def _ng_pt(self, path: Path) -> None:
        golden = ROOT / "tests" / "data" / "golden" / "tiny"
        shutil.copy(golden / "ng.pt", path)
        shutil.copy(golden / "vision.json", path.with_name("vision.json"))

    def _vision_json(self, path: Path) -> None:
        self.make("ng.pt")  # which it lies beside

    def _frame_png(self, path: Path) -> None:
        shutil.copy(ROOT / "tests" / "data" / "frame.png", path)

    def _ng_converted(self, path: Path) -> None:
        self._run("convert", self.make("ng.pt"), path)

    def _demo(self, path: Path) -> None:
        words = ["--videos", 4, "--seconds", 4, "--rate", 30, "--size", "160x160"]
        self._run("data", "demo", path, *words, "--chunk-seconds", 2)

    def _labels(self, path: Path) -> None:
        self.make("demo")
        shutil.copytree(self.folder / "demo" / "labels", path)

    def _videos(self, path: Path) -> None:
        self.make("demo")
        shutil.copytree(self.folder / "demo" / "videos", path)

    _clips = _videos

    def _tables(self, path: Path) -> None:
        """What was pressed at every frame, a table a video."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path.mkdir()
        for video in sorted(self.make("videos").iterdir()):
            chunks = sorted(self.make("labels").rglob(f"{video.stem}_chunk_*/actions_raw.parquet"))
            pq.write_table(
                pa.concat_tables(map(pq.read_table, chunks)), path / f"{video.stem}.parquet"
            )

    def _game(self, path: Path) -> None:
        self.make("demo")
        shutil.copytree(self.folder / "demo", path)

    def _records(self, path: Path, *more: object) -> None:
        self.make("demo")
        words = ["--labels", self.folder / "demo/labels", "--videos", self.folder / "demo/videos"]
        words += ["--out", path, "--split", "val=0.25", "--min-active", 0]
        self._run("data", "build", *words, "--workers", 1, *more)

    def _records_game(self, path: Path) -> None:
        self._records(path, "--size", 64, "--horizon", 3, "--frame-stride", 6)

    def _runs_tiny(self, path: Path) -> None:
        self.make("records_game")
        words = ["--config", ROOT / "configs" / "nitrogen_tiny.py", "--out", path]
        words += [f"--data.records={self.folder / 'records_game'}", *SMALL_TRAINING]
        self._run("train", *words, "--quiet")

    def _skins(self, path: Path) -> None:
        from nitrogen_jax.labeling.skins import skin_file
        from nitrogen_jax.labeling.skins.generate import generate

        path.mkdir()
        skin_file.write(generate(7), path / "seven")

    def _pads_npz(self, path: Path) -> None:
        from nitrogen_jax import gamepad
        from nitrogen_jax.labeling.synth import traces

        one = traces.smooth(np.random.default_rng(0), 6).states
        held = [
            name for name in gamepad.BUTTONS if one.buttons[:, gamepad.BUTTON_INDEX[name]].any()
        ]
        np.savez(
            path,
            button_names=np.array(held),
            sticks_00=np.concatenate([one.left, one.right], 1),
            buttons_00=one.buttons[:, [gamepad.BUTTON_INDEX[name] for name in held]],
        )

    def _chunk_corrections_json(self, path: Path) -> None:
        from nitrogen_jax.data.label_tree import open_tree
        from nitrogen_jax.labeling import review_chunks
        from nitrogen_jax.labeling.review_corrections import Corrections, Edit, to_json

        self.make("labels")
        tree = open_tree(self.folder / "labels")
        raws = next(iter(review_chunks.select(tree).values()))
        read = review_chunks.read(raws[0], review_chunks.fingerprint(raws))
        edits = (Edit(2, 4, {"GUIDE": True}),)
        made = Corrections(read.tree, read.video_id, read.chunk_id, read.table, edits)
        path.write_text(json.dumps(to_json(made)))

    def _evals_ng(self, path: Path) -> None:
        beside("report/eval_folders.py").make(path, skipped={})

    def _evals_random(self, path: Path) -> None:
        folders = beside("report/eval_folders.py")
        folders.make(path, folders.WEAKER, "random", skipped={})

    _evals_mygame, _evals_scratch = _evals_ng, _evals_random

    def _verdicts_json(self, path: Path) -> None:
        said = [{"task": "ale/pong", "episode": 0, "success": True, "note": ""}]
        path.write_text(json.dumps({"format": "nitrogen verdicts 1", "verdicts": said}))


def beside(name: str):
    """A module of tests that is no test."""
    path = Path(__file__).parent / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
