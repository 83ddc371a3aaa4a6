"""The options that say which controller overlay is drawn into a recording."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nitrogen_jax.errors import NitrogenError

if TYPE_CHECKING:
    from nitrogen_jax.sim.overlay import Look


def add_arguments(parser: argparse.ArgumentParser, corners: bool = False) -> None:
    """Adds them.

    Args:
        corners: whether there may be several, for one episode after the other.
    """
    parser.add_argument(
        "--overlay", action="store_true", help="draw a controller overlay, of a made-up skin"
    )
    parser.add_argument(
        "--skins", type=Path, nargs="+", metavar="DIR", help="draw one of these skins instead"
    )
    parser.add_argument("--skin", metavar="NAME", help="its name; the first one")
    parser.add_argument(
        "--corner",
        default=["bottom-left"] if corners else "bottom-left",
        nargs="+" if corners else None,
        choices=("bottom-left", "bottom-right", "top-left", "top-right"),
        help="where the overlay lies"
        + (", in one episode after the other" if corners else "")
        + "; bottom-left",
    )
    parser.add_argument(
        "--overlay-width", type=float, default=0.35, metavar="W", help="part of the picture's; 0.35"
    )
    parser.add_argument(
        "--opacity", type=float, default=1.0, metavar="A", help="of the overlay, 0 to 1; 1"
    )


def look(args: argparse.Namespace) -> Look | None:
    """The overlay that they ask for."""
    found = looks(args)
    return found[0] if found else None


def looks(args: argparse.Namespace) -> tuple[Look, ...]:
    """The overlays that they ask for, one for each corner; none where none is wanted."""
    if not args.overlay and args.skins is None:
        if args.skin is not None:
            raise NitrogenError("--skin names one of --skins, which are not given")
        return ()
    from nitrogen_jax.sim import overlay

    skin = overlay.find_skin(args.skins, args.skin) if args.skins else overlay.made_up(0)
    corners = [args.corner] if isinstance(args.corner, str) else args.corner
    return tuple(overlay.Look(skin, args.overlay_width, corner, args.opacity) for corner in corners)
