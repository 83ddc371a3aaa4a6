"""Pictures of the stages of a quick start, as JPEG."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.data import label_tree, video
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import Pad
from nitrogen_jax.labeling.skins import draw, library
from nitrogen_jax.labeling.skins.skin import States
from nitrogen_jax.report import chunk

BOX = (255, 64, 64)
HEIGHT = 300  # of pictures, in pixels


def located(labels: Path, videos: Path) -> bytes:
    """A frame with the box that the overlay was found in, and beside it the pad that was read."""
    chunks = [label_tree.read_chunk(raw) for raw in label_tree.open_tree(labels).scan()]
    if not chunks:
        raise NitrogenError(f"{labels} has no labels")
    chunks.sort(key=lambda one: (one[0].video.video_id, one[0].video.start_frame))
    meta, table = chunks[0]
    pads = gamepad.decode(table.actions)
    row = busiest(pads)
    path = next(one for one in video.find(videos) if one.stem == meta.video.video_id)
    (picture,) = video.read_indices(path, [meta.video.start_frame + row], threads=1)
    picture = np.array(picture)
    if meta.overlay is not None:
        x, y, w, h = (round(value) for value in meta.overlay)
        cv2.rectangle(picture, (x, y), (x + w, y + h), BOX, 1)
    caption = f"read, frame {meta.video.start_frame + row}"
    return jpeg(beside(scaled(picture), chunk.draw_pad(pads[row], caption)))


def busiest(pads: Pad) -> int:
    """The row of a pad (N,) in which most is done, the middle one of equal ones."""
    done = pads.pressed.sum(-1) + np.abs(pads.left).sum(-1) + np.abs(pads.right).sum(-1)
    best = np.flatnonzero(done == done.max())
    return int(best[len(best) // 2])


def template(skins: Path) -> bytes:
    """The first skin of a folder: at rest, and with everything pressed."""
    skin = library.load([skins]).skins[0]
    scale = HEIGHT / 2 / skin.size[1]
    painter = draw.Painter(skin, draw.Placement(scale, 0, 0))
    width, height = round(skin.size[0] * scale), round(skin.size[1] * scale)
    rest = States.idle()
    pressed = States(
        np.ones_like(rest.buttons),
        np.full_like(rest.left, 0.7),
        np.full_like(rest.right, -0.7),
        np.ones_like(rest.triggers),
    )
    shown = []
    for states in (rest, pressed):
        canvas = np.full((height, width, 3), 110, np.uint8)
        buttons, left, right, triggers = (part[0] for part in states)
        draw.blend(canvas, painter.rgba(buttons, left, right, triggers), painter.region, 1.0)
        shown.append(canvas)
    return jpeg(beside(*shown))


def learnt_from(records: Path, size: int, horizon: int, number: int = 3) -> bytes:
    """Some pictures as the policy gets them, each with the actions that it is to answer."""
    from nitrogen_jax.data.loader import Dataset, Loader, LoaderConfig

    with Loader(LoaderConfig((Dataset(str(records)),), batch=32, size=size)) as loader:
        batch = next(loader)
    pads = gamepad.decode(batch["actions"][:, :horizon])
    active = pads.pressed.any(-1).sum(-1) + (np.abs(pads.right).sum(-1) > 0.1).sum(-1)
    rows = [
        chunk.draw(batch["frames"][at, -1], pads[at], columns=horizon)
        for at in np.argsort(-active, kind="stable")[:number]
    ]
    wide = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, wide - row.shape[1]), (0, 0))) for row in rows]
    return jpeg(np.concatenate(padded))


def scaled(picture: np.ndarray) -> np.ndarray:
    """As high as pictures of this page are."""
    width = round(picture.shape[1] * HEIGHT / picture.shape[0])
    return cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_AREA)


def beside(*pictures: np.ndarray) -> np.ndarray:
    """Pictures (h, w, 3) in a row, on a dark ground."""
    gap, high = 8, max(picture.shape[0] for picture in pictures)
    columns = []
    for picture in pictures:
        column = np.full((high, picture.shape[1] + gap, 3), chunk.BACKGROUND, np.uint8)
        column[: picture.shape[0], : picture.shape[1]] = picture
        columns.append(column)
    return np.concatenate(columns, axis=1)[:, :-gap]


def jpeg(picture: np.ndarray) -> bytes:
    """A picture (h, w, 3) RGB as JPEG."""
    blue = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", blue, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
