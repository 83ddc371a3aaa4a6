"""Self-contained pages: nothing comes from elsewhere, legible in light and in dark.

Text is escaped unless it is `Html` already, which only the functions here make.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from typing import NamedTuple

STYLE = """\
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --soft: #59636e;
  --line: #d1d9e0; --shade: #f3f5f7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9198a1;
  --line: #3d444d; --shade: #161b22; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
p, figcaption, caption { color: var(--soft); margin: .25rem 0 .75rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; }
th, td { padding: .2rem .75rem; text-align: left; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; vertical-align: top; }
th { background: var(--shade); font-weight: 600; }
.number { text-align: right; white-space: nowrap; }
.wide { overflow-x: auto; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
figure { margin: .5rem 0; max-width: 100%; }
img { max-width: 100%; height: auto; }
summary { cursor: pointer; }
"""
# Even if something slipped through, a browser would neither run it nor fetch anything for it.
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


class Html(str):
    """Text that is HTML: it is not escaped again."""

    __slots__ = ()


class Section(NamedTuple):
    """A heading and what is below it."""

    heading: str
    body: Sequence[str]


def page(
    title: str,
    sections: Iterable[Section | tuple[str, Sequence[str]]],
    style: str = "",
    script: str = "",
) -> str:
    """A whole page as text.

    Args:
        sections: (heading, parts) of each; parts that are not `Html` become paragraphs. A section
            without a heading stands right below the title.
        style: more CSS, our own.
        script: our own JavaScript, the only one that the page may run; "": none at all.
    """
    policy, last = POLICY, ""
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy, last = f"{POLICY}; script-src 'sha256-{digest}'", f"<script>{script}</script>\n"
    body = []
    for heading, parts in sections:
        inner = "\n".join(part if isinstance(part, Html) else paragraph(part) for part in parts)
        top = f"<h2>{escape(heading)}</h2>\n" if heading else ""
        body.append(f"<section>\n{top}{inner}\n</section>")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n" + "\n".join(body) + f"\n{last}</body>\n</html>\n"
    )


def escape(text: object) -> Html:
    """Any text as HTML, also within an attribute."""
    return text if isinstance(text, Html) else Html(html.escape(clean(text), quote=True))


def clean(text: object) -> str:
    """Any text, with what no page can hold, such as control characters, as codes."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in str(text))


def paragraph(text: str) -> Html:
    """One paragraph."""
    return Html(f"<p>{escape(text)}</p>")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """A table; columns whose name ends in '>' are right-aligned, as in `terminal.table`."""
    kinds = [' class="number"' if name.endswith(">") else "" for name in columns]
    head = "".join(
        f"<th{kind}>{escape(name.rstrip('>'))}</th>"
        for name, kind in zip(columns, kinds, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return Html(
        f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def picture(data: bytes | str, words: str, caption: str = "") -> Html:
    """A picture within the page.

    Args:
        data: the bytes of a PNG or JPEG, or the text of an SVG.
        words: for those who cannot see it.
    """
    if isinstance(data, str):
        kind, data = "svg+xml", data.encode()
    else:
        kind = "jpeg" if data.startswith(b"\xff\xd8") else "png"
    # NOTE: as an image and not as inline SVG: its ids cannot clash and nothing in it can run.
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return Html(f'<figure><img src="{source}" alt="{escape(words)}">{below}</figure>')


def fold(summary: str, parts: Iterable[str]) -> Html:
    """Parts that are shown when the line above them is clicked."""
    inner = "\n".join(part if isinstance(part, Html) else paragraph(part) for part in parts)
    return Html(f"<details><summary>{escape(summary)}</summary>\n{inner}\n</details>")


def side_by_side(parts: Iterable[str]) -> Html:
    """Parts beside each other where the window is wide enough."""
    return Html('<div class="row">\n' + "\n".join(map(escape, parts)) + "\n</div>")
