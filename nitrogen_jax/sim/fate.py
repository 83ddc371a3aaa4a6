"""Is a program still there, and if not, or if it presents nothing: what is there to say."""

from __future__ import annotations

from pathlib import Path

from nitrogen_jax.sim.errors import BootTimeout, GameExited, LaunchError
from nitrogen_jax.sim.launch import Launch
from nitrogen_jax.sim.start import Running

SETTLE_S = 0.5  # between the death of what drew the frames and that of its launcher


def name_of(launch: Launch) -> str:
    """What messages call the program."""
    return Path(launch.command[0]).name


def check(launch: Launch, running: Running) -> None:
    """Raises GameExited where nobody is left who could present a frame."""
    guarded, page = running.guarded, running.memory.page
    guarded.poll()
    if error := guarded.start_error():
        raise LaunchError(f"{name_of(launch)} cannot be executed: {error}")
    game = int(page["game_pid"])
    drawn_by_child = game not in (0, guarded.pid)
    if drawn_by_child and not lives(game):
        guarded.poll(SETTLE_S)
    elif not guarded.gone and (guarded.code is None or drawn_by_child):
        return
    elif not guarded.gone and game == 0 and guarded.code == 0:
        return  # a launcher that has left a child behind
    code = guarded.code
    how = "ended" if code is None else f"ended with exit code {code}"
    if code is not None and code < 0:
        how = f"was ended by signal {-code}"
    when = "before its first frame" if int(page["frames"]) == 0 else "by itself"
    raise GameExited(f"{name_of(launch)} {how} {when}{_last_words(running)}", code)


def no_first_frame(launch: Launch, running: Running) -> BootTimeout:
    """The error of a program that presents nothing, with the likeliest reason."""
    text = f"{name_of(launch)} presented no frame in {launch.boot_timeout:g} s: "
    if int(running.memory.page["attached"]) == 0:
        text += "the shim was never loaded into it (a set-user-ID, static or foreign program?)"
    else:
        text += (
            "it still loads (give a longer boot_timeout), waits for something, or presents "
            'through a call that is not hooked (mode "speed" works without one)'
        )
    return BootTimeout(text + _last_words(running))


def lives(pid: int) -> bool:
    """Is there such a process, other than a dead one that nobody has collected?"""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def _last_words(running: Running) -> str:
    lines = [line for line in running.log_text().splitlines() if line.strip()]
    return f"; it last said: {' | '.join(lines[-3:])[-300:]}" if lines else ""
