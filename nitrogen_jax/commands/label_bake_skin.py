"""`nitrogen label bake-skin`: a skin of a web page as sprites."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Bakes a controller overlay made of HTML, CSS or SVG into sprites, once."
EXAMPLES = """\
  nitrogen label bake-skin ps5-white.css --out skins/ps5-white
  nitrogen label bake-skin themes/ojd-microsoft-xbox --style streamer-white --out skins/streamer
  nitrogen label bake-skin templates/xbox-one/template.html --scale 2 --out skins/xbox-one
Takes style sheets for GamepadViewer, themes of Open Joystick Display, and pages whose elements have
data-button and data-axis-x. Needs Chromium and 'nitrogen_jax[bake]'. The page sees its own folder
and nothing else."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("page", metavar="PAGE_OR_FOLDER", help="an HTML or CSS file, or a folder")
    parser.add_argument("--out", metavar="DIR", required=True, help="the folder to write")
    parser.add_argument("--name", help="of the skin (default: the page's)")
    parser.add_argument("--style", help="of a theme that has several")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="pixels per CSS pixel (default: 1)"
    )
    parser.add_argument(
        "--stick-pixels",
        metavar="N",
        type=float,
        default=25.0,
        help="CSS pixels that GamepadViewer moves a stick, its 'stick offset' (default: 25)",
    )
    parser.add_argument(
        "--meter", action="store_true", help="GamepadViewer's triggers show their value by height"
    )
    parser.add_argument("--scripts", action="store_true", help="let the page's own scripts run")
    parser.add_argument("--browser", metavar="FILE", help="the Chromium to use")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.errors import NitrogenError
    from nitrogen_jax.labeling.skins import sheet, skin_file
    from nitrogen_jax.labeling.skins.bake import bake

    out = Path(args.out)
    if not out.absolute().parent.is_dir():
        raise NitrogenError(f"cannot write {out}: the folder {out.parent} does not exist")
    if out.exists() and not out.is_dir():
        raise NitrogenError(f"cannot write {out}: it is a file, where a folder is needed")
    if out.exists() and not (out / skin_file.NAME).is_file() and any(out.iterdir()):
        raise NitrogenError(f"cannot write {out}: it holds other files, and would be replaced")
    skin = bake(
        Path(args.page),
        style=args.style,
        scale=args.scale,
        scripts=args.scripts,
        browser=args.browser,
        stick_pixels=args.stick_pixels,
        meter=args.meter,
    )
    if args.name:
        skin = skin.renamed(args.name)
    skin_file.write(skin, out)
    row = sheet.rows([skin])[0]
    screen = terminal.out()
    screen.print(
        f"{out}: {row.width} x {row.height}, {len(row.buttons)} buttons, {len(row.sticks)} sticks, "
        f"travel {row.travel:.1f} % of the width",
        markup=False,
    )
    for sentence in skin.unread:
        screen.print(sentence, markup=False)
    return 0
