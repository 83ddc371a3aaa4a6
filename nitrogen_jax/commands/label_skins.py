"""`nitrogen label skins`: what overlays some folders hold, as a table and a contact sheet."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

SUMMARY = "Lists the controller overlays of some folders, and draws them on a contact sheet."
EXAMPLES = """\
  nitrogen label skins skins/
  nitrogen label skins skins/ more/overlay.json --out sheet.png
  nitrogen label skins --generated 40 --out sheet.png
  nitrogen label skins skins/ --json
Exit code 0: all of them can be read; 1: some cannot, and are listed with their cause; 2: there is
no skin at all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        metavar="DIR",
        nargs="*",
        help="a folder with presets of input-overlay or skins of ours in it, or one layout",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="also draw a PNG: idle, everything pressed, sticks deflected"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument(
        "--generated", metavar="N", type=int, default=0, help="add N made-up skins (default: 0)"
    )


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.errors import NitrogenError
    from nitrogen_jax.labeling.skins import library, sheet
    from nitrogen_jax.labeling.skins.generate import generate

    if args.generated < 0:
        raise NitrogenError(f"--generated is {args.generated}, where at least 0 is needed")
    if not args.folders and not args.generated:
        raise NitrogenError("no folder of skins is named, and --generated adds none")
    _check_output(args.out)
    found = library.Library(())
    if args.folders:
        found = library.load([Path(folder) for folder in args.folders])
    with terminal.progress("drawing skins", args.generated, "skins") as advance:
        made = []
        for seed in range(args.generated):
            made.append(generate(seed))
            advance(1)
    skins = [*found.skins, *made]
    rows = sheet.rows(skins)
    screen = terminal.out()
    if args.json:
        faults = [{"file": file, "cause": cause} for file, cause in found.faults]
        data = {"skins": [dataclasses.asdict(row) for row in rows], "faults": faults}
        screen.print(json.dumps(data), markup=False)
    else:
        _print(screen, rows, found.faults)
    if args.out:
        _write(args.out, sheet.contact_sheet(skins))
    return 1 if found.faults else 0


def _check_output(out: str | None) -> None:
    from nitrogen_jax.errors import NitrogenError

    if out is None:
        return
    if Path(out).suffix.lower() != ".png":
        raise NitrogenError(f"--out is {out}, where the name of a PNG file is needed")
    if not Path(out).absolute().parent.is_dir():
        raise NitrogenError(f"cannot write {out}: the folder {Path(out).parent} does not exist")


def _print(screen, rows, faults) -> None:
    from nitrogen_jax import terminal

    columns = ("skin", "size>", "controller", "buttons>", "sticks>", "travel %>", "same geometry")
    cells = [
        (
            row.name,
            f"{row.width} x {row.height}",
            row.controller,
            len(row.buttons),
            len(row.sticks),
            f"{row.travel:.1f}",
            ", ".join(row.siblings),
        )
        for row in rows
    ]
    screen.print(terminal.table("", columns, cells))
    for row in rows:
        for sentence in row.unread:
            screen.print(f"{row.name}: {sentence}", markup=False)
    for file, cause in faults:
        screen.print(f"not read: {cause if file in cause else f'{file}: {cause}'}", markup=False)


def _write(out: str, picture) -> None:
    import cv2

    from nitrogen_jax import terminal
    from nitrogen_jax.errors import NitrogenError
    from nitrogen_jax.files import atomic_path

    with atomic_path(out) as temporary:
        if not cv2.imwrite(str(temporary), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
            raise NitrogenError(f"cannot write {out}")
    terminal.console().print(f"wrote {out}", markup=False)
