"""Plays a game and writes what was seen and pressed: videos, actions, a label tree.

    OUT/videos/<video>.mp4          a frame for each step, the first one that of the reset
    OUT/actions/<video>.npz         a row for each step, as `nitrogen sim run --actions` takes it
    OUT/labels/actions/SHARD_.../   the label tree: row i is the pad whose step produced frame i
    OUT/skins/<skin>/               the skin of the overlay, where one is drawn
    OUT/record.json                 how it was made

Row 0 of the label tree is idle: frame 0 is what the reset gave. An overlay shows in frame i the pad
of row i. Buttons that were masked are not pressed in any of the files.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_fields, label_tree
from nitrogen_jax.data.labels import Box, ChunkMeta, OriginalVideo
from nitrogen_jax.data.video_write import VideoWriter
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.files import atomic_path
from nitrogen_jax.gamepad import Pad, pack
from nitrogen_jax.labeling.skins import skin_file
from nitrogen_jax.sim import actions, catalogue, overlay, play, spaces
from nitrogen_jax.sim.pad_env import PadEnv

CHUNK_SECONDS, SHORTEST_SECONDS = 20.0, 1.0
SHARD = "SHARD_0000"
RECORD = "record.json"
CLOSED = "closed"  # why an episode ended: the window that showed it was closed


@dataclass(frozen=True)
class Plan:
    """What is recorded.

    Attributes:
        slug: of the game.
        sources: of pads; each plays every episode.
        seconds: of game time at most.
        seed: of the first episode; further ones count on.
        episodes: of each source.
        options: of the environment, but for sizes of observations and `seconds`.
        look: of the overlay; None: none is drawn.
        tree: whether labels are written.
        show: is given each picture; an episode ends where it returns False.
    """

    slug: str
    sources: Sequence[play.Source]
    seconds: float = 20.0
    seed: int = 0
    episodes: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    look: overlay.Look | None = None
    tree: bool = True
    show: Callable[[np.ndarray], bool] = lambda picture: True


@dataclass(frozen=True)
class Take:
    """One recorded episode.

    Attributes:
        video_id: its file's name without the ending.
        frames: of the video, one more than steps.
        reason: why it ended before its time, "" if it did not.
        total: sum of the game's rewards.
        chunks: of the label tree.
    """

    video_id: str
    source: str
    seed: int
    frames: int
    rate: float
    size: tuple[int, int]
    reason: str
    total: float
    chunks: int


def record(
    plan: Plan, out: Path, advance: Callable[[float], None] = lambda frames: None
) -> list[Take]:
    """Records all episodes into a folder that does not exist yet or is empty.

    Args:
        advance: is told the number of frames that were written.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NitrogenError(f"{out} exists and is not an empty folder: a recording needs a new one")
    if not 0.1 <= plan.seconds <= 36_000:
        raise NitrogenError(f"seconds is {plan.seconds}, where 0.1 to 36000 is possible")
    takes: list[Take] = []
    with (
        atomic_path(out) as temporary,
        catalogue.make(plan.slug, size=(32, 32), render_mode="rgb_array", **plan.options) as env,
    ):
        for name in ("videos", "actions"):
            (temporary / name).mkdir(parents=True)
        if plan.look is not None:
            (temporary / "skins").mkdir()
            skin_file.write(plan.look.skin, temporary / "skins" / plan.look.skin.name)
        for source in plan.sources:
            for episode in range(plan.episodes):
                takes.append(_episode(plan, env, source, plan.seed + episode, temporary, advance))
        about = {"game": plan.slug, "level": env.level, "seconds": plan.seconds}
        about["episodes"] = [vars(take) for take in takes]
        (temporary / RECORD).write_text(json.dumps(about, indent=1))
    return takes


def _episode(
    plan: Plan,
    env: PadEnv,
    source: play.Source,
    seed: int,
    out: Path,
    advance: Callable[[float], None],
) -> Take:
    rate = env.fps / env.frame_skip
    video_id = video_name(plan.slug, env.level, source.name, seed)
    about = catalogue.get(plan.slug)
    stream = play.pads(source, about, rate, seed)
    env.reset(seed=seed)
    reason, total = "", 0.0
    with Tape(out, video_id, about.title, rate, plan.look, plan.tree) as tape:
        picture = tape.see(env.picture, None)
        advance(1)
        for pad in itertools.islice(stream, round(plan.seconds * rate)):
            if not plan.show(picture):
                reason = CLOSED
                break
            pad = gamepad.apply_mask(pad, env.forbidden)
            _, reward, terminated, truncated, info = env.step(spaces.to_action(pad))
            total += reward
            picture = tape.see(env.picture, pad)
            advance(1)
            if terminated or truncated:
                reason = info["reason"] or "terminated"
                break
    return Take(
        video_id, source.name, seed, tape.frames, rate, tape.size, reason, total, tape.chunks
    )


class Tape:
    """Writes an episode: its video, its actions, its labels; use it in a `with` block.

    Attributes:
        frames: that are written so far, one more than pads.
        size: (width, height) of the pictures.
        chunks: of the label tree, once the block has ended.
    """

    def __init__(
        self,
        out: Path,
        video_id: str,
        game: str,
        rate: float,
        look: overlay.Look | None = None,
        tree: bool = True,
        maker: str = "nitrogen sim record",
        most: int | None = None,
    ):
        """
        Args:
            out: a folder with the folders "videos" and "actions".
            game: as labels call it.
            rate: steps a second of game time.
            look: of the overlay; None: none is drawn.
            tree: whether labels are written.
            maker: the command that made it.
            most: frames after which what is seen is passed over; None: never.
        """
        self._out, self._video_id, self._game, self._rate = Path(out), video_id, game, rate
        self._look, self._tree, self._maker, self._most = look, tree, maker, most
        self._stack = contextlib.ExitStack()
        self._writer: VideoWriter | None = None
        self._drawn: overlay.Overlay | None = None
        self._pads: list[Pad] = []
        self._kept = True
        self.size, self.frames, self.chunks = (0, 0), 0, 0

    def __enter__(self) -> Tape:
        return self

    def see(self, picture: np.ndarray, pad: Pad | None) -> np.ndarray:
        """Takes the picture (h, w, 3) of the reset (with None), or that which a pad () has made.

        Returns:
            A copy as it is in the video: with the overlay.
        """
        if self._most is not None and self.frames >= self._most:
            return picture
        if self._writer is None:
            self.size = (picture.shape[1], picture.shape[0])
            self._drawn = None if self._look is None else overlay.Overlay(self._look, self.size)
            path = self._out / "videos" / f"{self._video_id}.mp4"
            self._writer = self._stack.enter_context(
                VideoWriter(path, self.size, self._rate, preset="veryfast")
            )
        else:
            assert pad is not None
            self._pads.append(pad)
        shown = same_size(picture, self.size).copy()
        if self._drawn is not None:
            self._drawn.draw(shown, play.idle() if pad is None else pad)
        self._writer.write(shown)
        self.frames += 1
        return shown

    def discard(self) -> None:
        """Nothing of this episode is to be kept."""
        self._kept = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
        elif not self._kept:
            # NOTE: a video that ends with an exception leaves no file.
            self._stack.__exit__(_Discarded, _Discarded(), None)
        else:
            self._finish()

    def _finish(self) -> None:
        if not self._pads:
            empty = NitrogenError(f"{self._video_id}: nothing was played")
            self._stack.__exit__(NitrogenError, empty, None)
            raise empty
        self._stack.close()
        pads = play.stacked(self._pads)
        actions.write(self._out / "actions" / f"{self._video_id}.npz", pads)
        if self._tree:
            about = Labelled(
                self._video_id, self._game, self._rate, self.size, self._drawn, self._maker
            )
            self.chunks = write_tree(self._out / "labels", about, pads)


class _Discarded(Exception):
    """An episode that is not kept."""


def same_size(picture: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """The picture, which must be of that size (width, height): a video cannot change its own."""
    assert picture is not None
    if picture.shape[1::-1] != tuple(size):
        raise NitrogenError(
            f"the game's picture has become {picture.shape[1]} x {picture.shape[0]} pixels, where "
            f"it was {size[0]} x {size[1]}"
        )
    return picture


def video_name(slug: str, level: str, who: str, seed: int) -> str:
    """What a recording's files are called, before the ending."""
    words = "".join(c if c.isalnum() or c in "-." else "_" for c in level).strip("._-")
    name = "-".join(filter(None, (slug, words, who, str(seed))))
    return label_fields.check_name(name, "video")


# ---------------------------------------------------------------------------------------------
# Labels


@dataclass(frozen=True)
class Labelled:
    """The video that labels are of.

    Attributes:
        rate: frames a second.
        size: (width, height).
        drawn: the overlay in it.
        maker: the command that made it.
    """

    video_id: str
    game: str
    rate: float
    size: tuple[int, int]
    drawn: overlay.Overlay | None
    maker: str = "nitrogen sim record"


def write_tree(root: Path, about: Labelled, pads: Pad) -> int:
    """Writes the label tree of a video whose frames 1.. the pads (N,) produced; its chunks.

    What is left after the last whole chunk is one of its own, unless it is under a second.
    """
    rows = np.concatenate([gamepad.neutral(1), pack(pads)])
    long = round(CHUNK_SECONDS * about.rate)
    starts = range(0, len(rows), long)
    least = SHORTEST_SECONDS * about.rate
    # A short video is one chunk whatever its length.
    spans = [(start, min(start + long, len(rows))) for start in starts]
    kept = [span for span in spans if span[1] - span[0] >= least or span[0] == 0]
    for number, (start, end) in enumerate(kept):
        meta = _metadata(about, number, start, end)
        part = rows[start:end]
        label_tree.write_chunk(root, meta, part, shard=SHARD, processed=part)
    return len(kept)


def _metadata(about: Labelled, number: int, start: int, end: int) -> ChunkMeta:
    begin, until = (round(frame / about.rate, 6) for frame in (start, end))
    key = f"nitrogen_jax:{about.video_id}/{number}/{about.size}/{about.rate}"
    return ChunkMeta(
        uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, key)),
        chunk_id=f"{number:04d}",
        chunk_size=end - start,
        game=about.game,
        controller_type=about.drawn.look.skin.controller if about.drawn else "unknown",
        overlay=Box(*about.drawn.box) if about.drawn else None,
        game_area=None,
        video=OriginalVideo(
            video_id=about.video_id,
            resolution=(about.size[1], about.size[0]),
            source=about.maker,
            start_time=begin,
            end_time=until,
            duration=round(until - begin, 6),
            start_frame=start,
            end_frame=end,
        ),
    )
