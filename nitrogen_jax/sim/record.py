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

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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
    stream = play.pads(source, catalogue.get(plan.slug), rate, seed)
    env.reset(seed=seed)
    first = env.render()
    assert first is not None
    size = first.shape[1::-1]
    drawn = overlay.Overlay(plan.look, size) if plan.look is not None else None
    played: list[Pad] = []
    reason, total = "", 0.0
    with VideoWriter(out / "videos" / f"{video_id}.mp4", size, rate, preset="veryfast") as writer:
        picture = _shown(first, drawn, play.idle())
        writer.write(picture)
        advance(1)
        for pad in _first(stream, round(plan.seconds * rate)):
            if not plan.show(picture):
                reason = CLOSED
                break
            pad = gamepad.apply_mask(pad, env.forbidden)
            _, reward, terminated, truncated, info = env.step(spaces.to_action(pad))
            played.append(pad)
            total += reward
            picture = _shown(same_size(env.render(), size), drawn, pad)
            writer.write(picture)
            advance(1)
            if terminated or truncated:
                reason = info["reason"] or "terminated"
                break
    if not played:
        raise NitrogenError(f"{video_id}: nothing was played")
    pads = play.take(iter(played), len(played))
    actions.write(out / "actions" / f"{video_id}.npz", pads)
    chunks = 0
    if plan.tree:
        about = Labelled(video_id, catalogue.get(plan.slug).title, rate, size, drawn)
        chunks = write_tree(out / "labels", about, pads)
    return Take(
        video_id, source.name, seed, len(played) + 1, rate, tuple(size), reason, total, chunks
    )


def _first(stream: Iterator[Pad], steps: int) -> Iterator[Pad]:
    for _, pad in zip(range(steps), stream, strict=False):
        yield pad


def _shown(picture: np.ndarray, drawn: overlay.Overlay | None, pad: Pad) -> np.ndarray:
    if drawn is not None:
        drawn.draw(picture, pad)
    return picture


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
