"""What `nitrogen play` shows: a window, a panel or a bar, and in the end what came of it."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nitrogen_jax.play.runs import Plan, Result
    from nitrogen_jax.play.seen import Seen

REFRESH_S = 0.12  # of the panel
ALWAYS = ("grab", "preprocess", "queue", "infer", "apply")  # rows of the table


@contextlib.contextmanager
def shown(
    args: argparse.Namespace, plan: Plan, steps: int, shift: int
) -> Iterator[Callable[[Seen], bool]]:
    """What shows every step: a window, a panel in the terminal, or a bar."""
    from nitrogen_jax import terminal

    title = f"{plan.title} by {args.policy}"
    if args.window:
        with window(title, shift) as see:
            yield see
    elif args.terminal or (not args.no_view and terminal.console().is_terminal):
        with panel(title, steps, shift) as see:
            yield see
    else:
        with terminal.progress(f"playing {args.game}", steps * plan.episodes, "steps") as advance:

            def see(seen: Seen) -> bool:
                advance(seen.step > 0)
                return True

            yield see


@contextlib.contextmanager
def window(title: str, shift: int) -> Iterator[Callable[[Seen], bool]]:
    """The debug picture, live."""
    from nitrogen_jax.play.sketch import Sketch
    from nitrogen_jax.sim.human import Window

    sketches: dict[tuple[int, int], Sketch] = {}
    with Window(title) as opened:

        def see(seen: Seen) -> bool:
            size = seen.picture.shape[1::-1]
            if size not in sketches:
                sketches[size] = Sketch(size, shift)
            return opened.show(sketches[size].draw(seen))

        yield see


@contextlib.contextmanager
def panel(title: str, steps: int, shift: int) -> Iterator[Callable[[Seen], bool]]:
    """Words and a grid, live, on standard error."""
    import time

    from rich.live import Live
    from rich.panel import Panel
    from rich.text import Text

    from nitrogen_jax import terminal
    from nitrogen_jax.play import panel as words

    latest = 0.0
    with Live(console=terminal.console(), auto_refresh=False) as live:

        def see(seen: Seen) -> bool:
            nonlocal latest
            now = time.monotonic()
            if now - latest >= REFRESH_S or seen.step == steps:
                latest = now
                text = Text("\n".join(words.lines(seen, steps, shift)))
                live.update(Panel(text, title=Text(title), width=words.WIDTH + 4), refresh=True)
            return True

        yield see


def tell(sentence: str) -> None:
    """Says something beside the results."""
    from nitrogen_jax import terminal

    terminal.console().print(sentence, markup=False)


# ---------------------------------------------------------------------------------------------
# After


def report(args: argparse.Namespace, made: dict[str, Any], result: Result) -> None:
    """The latency table, and a line for each episode."""
    from nitrogen_jax import terminal
    from nitrogen_jax.play.latency import PARTS

    screen = terminal.out()
    if args.json:
        out = None if args.out is None else str(args.out)
        sys.stdout.write(json.dumps({**made, **result.plain(), "out": out}) + "\n")
    else:
        found = result.latency.summary()
        rows = [_row(part, found.get(part)) for part in PARTS if part in found or part in ALWAYS]
        if found:
            columns = ("milliseconds", "p50>", "p95>", "p99>", "times>", "")
            screen.print(terminal.table("", columns, rows))
        for told in result.episodes:
            for sentence in sentences(told):
                screen.print(sentence, markup=False)
        videos = sum(told["video"] is not None for told in result.episodes)
        if args.out is not None and videos:
            chunks = sum(told["chunks"] for told in result.episodes)
            counted = f"{_count(videos, 'video')}, {_count(chunks, 'chunk')} of labels"
            screen.print(f"{args.out}: {counted}", markup=False)
    if result.failed:
        tell(f"nitrogen play: {result.failed}")
    elif result.stopped:
        tell("nitrogen play: stopped; what was played until then is kept")


def _row(part: str, values: dict[str, float] | None) -> tuple[object, ...]:
    from nitrogen_jax.play.latency import PARTS, QUANTILES

    if values is None:
        return part, *("-" for _ in QUANTILES), 0, PARTS[part]
    return part, *(f"{values[f'p{q}']:.2f}" for q in QUANTILES), values["count"], PARTS[part]


def sentences(told: dict[str, Any]) -> list[str]:
    """An episode in words."""
    why = f": {told['why']}" if told["why"] else ""
    found = [
        f"seed {told['seed']}: {told['steps']:,} steps, {told['seconds']:.1f} s of game time in "
        f"{told['wall']:.1f} s, reward {told['reward']:g}; ended by {told['ended']}{why}"
    ]
    if told["by_person"]:
        found.append(f"a person held the pad for {told['by_person']:,} steps")
    live = told.get("realtime")
    if live is None:
        return found
    missed = "" if live["starved"] else "; no slot lacked an action"  # else it is said already
    found.append(f"{live['said']}{missed}; {told['overruns']} slots took longer than their time")
    if live["borders"]:
        found.append(
            f"stick jerk {live['jerk_at_borders']:.3f} at {live['borders']} borders of chunks, "
            f"{live['jerk_elsewhere'] or math.nan:.3f} elsewhere; "
            f"{live['flicker_per_border']:.3f} slots of buttons cut short per border"
        )
    return found


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
