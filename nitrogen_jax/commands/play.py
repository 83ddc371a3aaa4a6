"""`nitrogen play`: a policy plays a game, is watched and recorded."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import math
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nitrogen_jax.commands.sizes import size
from nitrogen_jax.errors import NitrogenError

if TYPE_CHECKING:
    from nitrogen_jax.play.policy import Policy
    from nitrogen_jax.play.runs import Plan
    from nitrogen_jax.sim.pad_env import PadEnv

SUMMARY = "Plays a game with a policy, shows what it does, and records it."
EXAMPLES = """\
  nitrogen play --game supertux --policy ng_converted/ --out rec/
  nitrogen play --game supertux --policy tcp://127.0.0.1:5556 --window   a server; needs no JAX here
  nitrogen play --game freedoom --policy runs/mine --execute 8 --episodes 4 --seconds 120 --out rec/
  nitrogen play --game supertux --policy ng_converted/ --attach auto     take over by touching a pad
  nitrogen play --game supertux --policy ng_converted/ --realtime        the game does not wait
  nitrogen data validate rec/labels                                      it can be trained on
The game waits for the policy, unless --realtime: then a step comes whenever it is due by the clock,
with what the latest chunk says about it, and the game waits for nobody. Menu buttons are masked.
The same seeds give the same play with a game that repeats, but for --attach and --realtime.
Exit code 0: played, also to an early end of the game; 1: policy, server or game failed; what was
played until then is kept; 2: bad usage or input; 130: Ctrl-C, what was played is kept."""

REMOTE_ONLY = ("timeout", "token_file", "curve")
LOCAL_ONLY = ("vision", "steps", "cfg", "ctx", "dtype", "old_layout")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    game = parser.add_argument_group("the game")
    game.add_argument("--game", required=True, help="a name of 'nitrogen sim list'")
    game.add_argument("--level", metavar="NAME", help="the game's first one")
    game.add_argument("--seconds", type=float, default=60.0, metavar="S", help="game time; 60")
    game.add_argument("--seed", type=int, default=0, metavar="S", help="of the first episode; 0")
    game.add_argument(
        "--episodes", type=int, default=1, metavar="N", help="seeds counting on; default 1"
    )
    game.add_argument("--size", type=size, metavar="WxH", help="that it draws at; its own")
    game.add_argument("--display", metavar="D", help="as for 'sim run'; its own")
    game.add_argument(
        "--frame-skip", type=int, metavar="N", help="frames to a step; by the policy's rate"
    )
    policy = parser.add_argument_group("the policy")
    policy.add_argument(
        "--policy",
        required=True,
        metavar="CKPT",
        help="a checkpoint of any kind, random:PRESET, or the address of a server, tcp://HOST:PORT",
    )
    policy.add_argument("--policy-seed", type=int, metavar="S", help="of its noise; --seed")
    policy.add_argument("--policy-game", metavar="NAME", help="one of its games; default none")
    policy.add_argument("--execute", type=int, metavar="K", help="actions of a chunk; all, or half")
    policy.add_argument("--forbid", metavar="NAMES", default="", help="more buttons never pressed")
    here = parser.add_argument_group("a policy in this process")
    here.add_argument("--vision", metavar="FILE", help="sizes of its vision tower")
    here.add_argument("--steps", type=int, metavar="N", help="Euler steps; default the policy's")
    here.add_argument("--cfg", type=float, metavar="S", help="guidance scale; default none")
    here.add_argument("--ctx", type=int, metavar="N", help="frames to look at; default its own")
    here.add_argument("--dtype", choices=["float32", "bfloat16"], help="default by device")
    here.add_argument(
        "--old-layout", action="store_true", default=None, help="its actions have sticks first"
    )
    server = parser.add_argument_group("a policy on a server")
    server.add_argument("--timeout", type=float, metavar="S", help="10; with --realtime 2")
    server.add_argument("--token-file", type=Path, metavar="FILE", help="the token it asks for")
    server.add_argument("--curve", type=Path, metavar="DIR", help="server.key, client.key_secret")
    time = parser.add_argument_group("real time")
    time.add_argument("--realtime", action="store_true", help="the game waits for nobody")
    time.add_argument(
        "--inject-delay", type=float, metavar="MS", help="chunks take this long at least"
    )
    time.add_argument(
        "--switch", action="store_true", help="chunks do not continue each other, to compare"
    )
    seen = parser.add_argument_group("what is seen")
    seen.add_argument("--out", type=Path, metavar="DIR", help="a new folder for what is played")
    one = seen.add_mutually_exclusive_group()
    one.add_argument("--window", action="store_true", help="a live window (extra [window])")
    one.add_argument("--terminal", action="store_true", help="a live panel; default on a terminal")
    one.add_argument("--no-view", action="store_true", help="neither; a progress bar")
    seen.add_argument("--json", action="store_true", help="print one JSON object")
    seen.add_argument(
        "--attach", metavar="DEVICE", help="a gamepad that takes over: /dev/input/js0, or auto"
    )


def run(args: argparse.Namespace) -> int:
    """Plays, records and reports."""
    forbidden = check(args)

    from nitrogen_jax.commands import play_show
    from nitrogen_jax.play import runs
    from nitrogen_jax.play.pace import frame_skip
    from nitrogen_jax.sim import catalogue
    from nitrogen_jax.sim.game import Game
    from nitrogen_jax.training import signals

    about = catalogue.get(args.game)
    if not isinstance(about, Game) and (args.size is not None or args.display is not None):
        raise NitrogenError(f"{about.title} draws as it does: leave out --size and --display")
    options = {"level": args.level, "window": args.size, "display": args.display}
    options = {name: value for name, value in options.items() if value is not None}
    options |= {"size": (32, 32), "render_mode": "rgb_array", "forbidden": forbidden}
    catalogue.make(args.game, **options).close()  # says at once what it lacks
    device = attached(args.attach)
    with folder(args.out), contextlib.ExitStack() as stack:
        policy = open_policy(args, forbidden)
        skip, sentence = frame_skip(about.title, about.fps, policy.facts.control_rate)
        if args.frame_skip is None and sentence:
            play_show.tell(sentence)
        options["frame_skip"] = skip if args.frame_skip is None else args.frame_skip
        env = stack.enter_context(catalogue.make(args.game, **options))
        plan = make_plan(args, about.title, device)
        rate = env.fps / env.frame_skip
        steps = plan.steps(rate)
        made = describe(args, policy, env)
        view = stack.enter_context(play_show.shown(args, plan, steps, policy.facts.action_shift))
        with signals.listening() as asked:
            result = runs.play(plan, policy, env, view=view, stop=lambda: asked.stop, about=made)
    play_show.report(args, made, result)
    if asked.interrupted:
        return 130
    return 1 if result.failed else 0


# ---------------------------------------------------------------------------------------------
# Before


def check(args: argparse.Namespace) -> frozenset[str]:
    """Refuses bad options before anything is loaded; the forbidden buttons."""
    from nitrogen_jax import gamepad
    from nitrogen_jax.play.policy import is_address

    for name, least in (
        ("episodes", 1),
        ("steps", 1),
        ("execute", 1),
        ("ctx", 1),
        ("frame_skip", 1),
    ):
        value = getattr(args, name)
        if value is not None and value < least:
            raise NitrogenError(f"{_option(name)} is {value}, where at least {least} is needed")
    if not 0.1 <= args.seconds <= 36_000:
        raise NitrogenError(f"--seconds is {args.seconds}, where 0.1 to 36000 is possible")
    last = 2**31 - args.episodes
    if not 0 <= args.seed <= last:
        raise NitrogenError(f"--seed is {args.seed}, where 0 to {last} is needed")
    if args.policy_seed is not None and not 0 <= args.policy_seed <= 2**64 - args.episodes:
        raise NitrogenError(f"--policy-seed is {args.policy_seed}, where 0 to 2**64 - 1 is needed")
    for name in ("inject_delay", "cfg", "timeout"):
        value = getattr(args, name)
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise NitrogenError(f"{_option(name)} is {value}, where 0 or more is needed")
    if args.timeout == 0:
        raise NitrogenError("--timeout is 0, where more is needed")
    if args.switch and not args.realtime:
        raise NitrogenError("--switch belongs to --realtime")
    remote = is_address(args.policy)
    for name in LOCAL_ONLY if remote else REMOTE_ONLY:
        if getattr(args, name) is not None:
            where = "decided by the server" if remote else "for a policy on a server, tcp://..."
            raise NitrogenError(f"{_option(name)} is {where}: leave it out")
    names = [name.strip().upper() for name in args.forbid.split(",") if name.strip()]
    return gamepad.NO_MENUS | gamepad.button_set(names)


def attached(word: str | None) -> Path | None:
    """The gamepad that --attach means."""
    if word is None:
        return None
    from nitrogen_jax.sim import human

    path = human.find() if word == "auto" else Path(word)
    with human.Joystick(path):
        return path


@contextlib.contextmanager
def folder(out: Path | None) -> Iterator[None]:
    """The folder for recordings; it goes again where nothing came of it."""
    if out is None:
        yield
        return
    from nitrogen_jax.play import records

    new = not out.exists()
    records.begin(out)
    try:
        yield
    finally:
        if new and not any(out.iterdir()):
            out.rmdir()


def open_policy(args: argparse.Namespace, forbidden: frozenset[str]) -> Policy:
    """The policy of a server, which needs no JAX here, or one in this process, warmed up."""
    from nitrogen_jax.play import policy as policies

    if policies.is_address(args.policy):
        from nitrogen_jax.serving import binding

        usual = 2.0 if args.realtime else 10.0
        return policies.remote(
            args.policy,
            forbid=forbidden,
            game=args.policy_game,
            token=None if args.token_file is None else binding.read_token(args.token_file),
            curve=args.curve,
            timeout=usual if args.timeout is None else args.timeout,
        )
    from nitrogen_jax import terminal
    from nitrogen_jax.commands.predict import game_row
    from nitrogen_jax.serving.agent import Agent, make_engine
    from nitrogen_jax.weights.policies import load_policy

    with terminal.progress(f"reading {args.policy}", None, "bytes") as advance:
        loaded = load_policy(args.policy, args.vision, advance)
    game = game_row(args.policy_game, loaded)
    engine = make_engine(
        loaded,
        frames=args.ctx,
        old_layout=bool(args.old_layout),
        steps=args.steps,
        guidance=None if args.cfg in (None, 1.0) else args.cfg,
        dtype=args.dtype,
        inpaint=args.realtime and not args.switch,
    )
    with terminal.progress("compiling", None):
        engine.warm_up()
    about = {"step": loaded.meta.step, "provenance": dict(loaded.meta.provenance)}
    return policies.Policy(
        engine.facts,
        lambda seed: Agent(engine, seed=seed, forbidden=forbidden, game=game),
        about,
    )


def make_plan(args: argparse.Namespace, title: str, device: Path | None) -> Plan:
    """What is played."""
    from nitrogen_jax.play.runs import Plan

    return Plan(
        slug=args.game,
        title=title,
        seconds=args.seconds,
        seed=args.seed,
        policy_seed=args.seed if args.policy_seed is None else args.policy_seed,
        episodes=args.episodes,
        execute=args.execute,
        realtime=args.realtime,
        continuous=not args.switch,
        delay=(args.inject_delay or 0.0) / 1e3,
        device=device,
        paced=args.window or device is not None,
        out=args.out,
    )


def describe(args: argparse.Namespace, policy: Policy, env: PadEnv) -> dict[str, Any]:
    """How it was made."""
    import dataclasses
    import platform

    from nitrogen_jax import __version__
    from nitrogen_jax.doctor.check import version_of

    names = ("numpy", "gymnasium", "opencv-python-headless", "jax", "pyzmq")
    return {
        "command": command(args),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "game": args.game,
        "level": env.level,
        "fps": env.fps,
        "frame_skip": env.frame_skip,
        "rate": env.fps / env.frame_skip,
        "forbidden": sorted(env.forbidden),
        "policy": {"from": args.policy, **policy.about, "facts": dataclasses.asdict(policy.facts)},
        "versions": {
            "nitrogen_jax": __version__,
            "python": platform.python_version(),
            **{name: version_of(name) for name in names},
        },
    }


def command(args: argparse.Namespace) -> str:
    """The line that plays the same again."""
    words = ["nitrogen", "play"]
    for name, value in vars(args).items():
        if value is True:
            words.append(_option(name))
        elif name == "size" and value is not None:
            words += [_option(name), f"{value[0]}x{value[1]}"]
        elif value is not None and value is not False and value != "":
            words += [_option(name), str(value)]
    return shlex.join(words)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
