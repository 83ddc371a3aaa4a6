"""The page on which a person plays a chunk beside its labels, corrects them, and exports that."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from nitrogen_jax import gamepad
from nitrogen_jax.labeling import review_corrections
from nitrogen_jax.labeling.review_chunks import BUTTONS, Reviewed, least_certain
from nitrogen_jax.report import chunk as pad
from nitrogen_jax.report import html
from nitrogen_jax.report.html import Html, escape
from nitrogen_jax.report.review_clip import Clip

SCRIPTS = ("review_model.js", "review_view.js", "review.js")
APART = 0.25  # seconds between two of the least certain frames
UNSURE = 0.5  # a row of less confidence is counted in the index

KEYS = (
    ("space", "play and pause"),
    ("← →", "one frame back and forth; with shift 10"),
    ("home, end", "the first and the last frame"),
    ("n p", "the next and the previous of the least certain frames"),
    ("i o", "a range begins, ends at the shown frame; shift and drag on the strip does the same"),
    ("escape", "no range: edits are of the shown frame"),
    ("x v", "the frame or range is not valid, is certainly valid"),
    ("r", "the frame or range as in the table"),
    ("u, ctrl z", "undo"),
)


class Entry(NamedTuple):
    """A line of the index: a chunk, and its page or why there is none."""

    reviewed: Reviewed
    file: str
    reason: str = ""


def page(reviewed: Reviewed, clip: Clip) -> str:
    """The whole page as text."""
    meta = reviewed.meta
    seconds = f"{clip.times[0]:.2f} to {clip.times[-1]:.2f} s" if clip.times else ""
    facts = [
        f"{meta.game or 'unknown game'}, {meta.controller_type or 'unknown controller'}, "
        f"{meta.chunk_size:,} rows, frames {meta.video.start_frame:,} to "
        f"{meta.video.start_frame + meta.chunk_size - 1:,} of the video, {seconds}, table "
        f"actions_{reviewed.kind}."
    ]
    if meta.label_lag:
        facts.append(f"The labels are said to be late by {meta.label_lag} frames.")
    data = json.dumps(page_data(reviewed, clip), allow_nan=False, separators=(",", ":"))
    body = [
        Html(
            f'<script type="application/json" id="data">{data.replace("<", chr(92) + "u003c")}'
            "</script>"
        ),
        *(
            Html(f'<script type="text/plain" id="{name}">{_lines(pictures)}</script>')
            for name, pictures in (("frames", clip.frames), ("overlays", clip.overlays))
        ),
    ]
    sections = [
        ("", [*facts, _player(clip), _editor()]),
        ("Changes", [Html('<div id="changes"></div>')]),
        ("", [html.fold("keys", [html.table("", ("key", "what it does"), KEYS)]), *body]),
    ]
    files = resources.files("nitrogen_jax.report")
    script = "\n".join((files / name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = (files / "review.css").read_text(encoding="utf-8")
    return html.page(f"Review of {reviewed.chunk_id}", sections, style=style, script=script)


def page_data(reviewed: Reviewed, clip: Clip) -> dict[str, Any]:
    """What the page's script knows: the labels, the pad's shapes, the head of an export."""
    rate, confidence = reviewed.meta.rate, reviewed.confidence
    bits = reviewed.pressed @ (1 << np.arange(len(BUTTONS)))
    head = review_corrections.to_json(
        review_corrections.Corrections(
            reviewed.tree, reviewed.video_id, reviewed.chunk_id, reviewed.table, ()
        )
    )
    return {
        "head": head,
        "rows": reviewed.meta.chunk_size,
        "first_frame": reviewed.meta.video.start_frame,
        "rate": rate,
        "times": [round(time - clip.times[0], 4) for time in clip.times],
        "buttons": list(BUTTONS),
        "labels": [gamepad.LABELS[name] for name in BUTTONS],
        "pressed": bits.tolist(),
        # NOTE: four digits are less than a stick's own noise; only what is edited is exported.
        "j_left": np.round(reviewed.left.astype(float), 4).tolist(),
        "j_right": np.round(reviewed.right.astype(float), 4).tolist(),
        "confidence": None
        if confidence is None
        else np.round(confidence.astype(float), 4).tolist(),
        "least_certain": []
        if confidence is None
        else least_certain(confidence, max(round(APART * rate), 1)),
        "size": list(clip.size),
        "overlay_size": list(clip.overlay_size),
        "pad": {
            "size": [pad.PAD_WIDTH, pad.PAD_HEIGHT],
            "shapes": {name: list(pad.SHAPES[name]) for name in BUTTONS},
            "sticks": {f"j_{name}": list(centre) for name, centre in pad.STICKS.items()},
            "travel": pad.STICK_RADIUS - 4,
        },
    }


def index_page(name: str, entries: Sequence[Entry]) -> str:
    """A page that links those of the chunks, which lie beside it.

    Args:
        name: what the tree is called.
    """
    rows = []
    for reviewed, file, reason in entries:
        known, link = reviewed.confidence, escape(reviewed.chunk_id)
        if not reason:
            link = Html(f'<a href="{escape(quote(file))}">{link}</a>')
        rows.append(
            (
                link,
                reviewed.video_id,
                f"{reviewed.meta.chunk_size:,}",
                f"{reviewed.meta.seconds:.1f}",
                "unknown" if known is None else f"{known.mean():.3f}",
                "unknown" if known is None else f"{int((known < UNSURE).sum()):,}",
                reason,
            )
        )
    columns = ("chunk", "video", "rows>", "seconds>", "confidence>", f"rows below {UNSURE}>", "")
    return html.page(f"Review of {name}", [("", [html.table("", columns, rows)])])


# ---------------------------------------------------------------------------------------------
# Parts of the page


def _lines(pictures: Iterable[bytes]) -> str:
    """Pictures as lines of base64: line i is the picture of row i."""
    return "\n".join(base64.b64encode(one).decode() for one in pictures)


def _player(clip: Clip) -> Html:
    overlay = (
        f'<figure><canvas id="overlay" width="{clip.overlay_size[0]}" '
        f'height="{clip.overlay_size[1]}"></canvas><figcaption>the overlay</figcaption></figure>'
        if clip.overlays
        else str(html.paragraph("The labels name no overlay."))
    )
    return Html(
        '<noscript><p>This page needs scripts.</p></noscript>\n<div class="review">\n'
        f'<figure><canvas id="frame" width="{clip.size[0]}" height="{clip.size[1]}"></canvas>'
        f'<figcaption id="where" aria-live="off"></figcaption></figure>\n<div>{overlay}\n'
        '<svg id="pad" role="img" aria-label="the pad as labelled"></svg></div>\n</div>\n'
        '<canvas id="strip" aria-label="confidence over time"></canvas>\n'
        "<p>Height is confidence; above it, what is changed and what is not valid. Click to jump, "
        "shift and drag to mark a range.</p>"
    )


def _editor() -> Html:
    buttons = [
        f'<button type="button" data-button="{name}" aria-pressed="false">'
        f"{escape(gamepad.LABELS[name])}</button>"
        for name in BUTTONS
    ]
    actions = [
        f'<button type="button" data-do="{name}" title="{escape(key)}">{escape(words)}</button>'
        for name, words, key in (
            ("play", "play", "space"),
            ("back10", "−10", "shift ←"),  # noqa: RUF001
            ("back", "−1", "←"),  # noqa: RUF001
            ("next", "+1", "→"),
            ("next10", "+10", "shift →"),
            ("previous_unsure", "previous uncertain", "p"),
            ("next_unsure", "next uncertain", "n"),
            ("begin", "range begins", "i"),
            ("end", "range ends", "o"),
            ("clear", "no range", "escape"),
            ("invalid", "not valid", "x"),
            ("valid", "valid", "v"),
            ("reset", "as in the table", "r"),
            ("undo", "undo", "u"),
            ("export", "export corrections", ""),
        )
    ]
    sticks = [
        f'<label>{words} {axis} <input type="number" min="-1" max="1" step="0.01" '
        f'data-stick="{column}" data-axis="{number}"></label>'
        for column, words in (("j_left", "left"), ("j_right", "right"))
        for number, axis in enumerate("xy")
    ]
    return Html(
        f'<div class="bar">{"".join(actions)}<label>speed <select id="speed">'
        + "".join(
            f'<option value="{speed}"{" selected" if speed == "1" else ""}>{speed}</option>'
            for speed in ("0.1", "0.25", "0.5", "1")
        )
        + "</select></label>"
        '<label>load corrections <input type="file" id="load" accept=".json"></label></div>\n'
        f'<p id="scope" role="status"></p>\n<div class="bar">{"".join(buttons)}</div>\n'
        f'<div class="bar">{"".join(sticks)}</div>\n<p id="message" role="alert"></p>'
    )
