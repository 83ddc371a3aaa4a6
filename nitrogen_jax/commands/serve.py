"""`nitrogen serve`: a policy for other processes and machines."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nitrogen_jax.errors import NitrogenError

if TYPE_CHECKING:
    from nitrogen_jax.serving.binding import Door
    from nitrogen_jax.serving.desk import Options
    from nitrogen_jax.weights.checkpoint import Checkpoint

SUMMARY = "Serves a policy over ZeroMQ: many games at once, in batches."
EXAMPLES = """\
  nitrogen serve ng_converted/                              tcp://127.0.0.1:5556
  nitrogen serve random:test --port 0                       any port; the line 'ready ...' tells
  nitrogen serve ng_converted/ --max-batch 16 --http 9100   /health and /metrics on loopback
  nitrogen serve ng_converted/ --bind 0.0.0.0 --curve keys/ other machines, encrypted
  nitrogen serve ng.pt --compat-original                    for the original's own client
After warm-up one line 'ready ADDRESS' is printed. SIGTERM and Ctrl-C answer what waits, then end.
Keys are made in an empty --curve folder; clients need its server.key and client.key_secret."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    from nitrogen_jax.weights.policies import add_vision_argument

    parser.add_argument(
        "policy",
        metavar="CKPT",
        help="an Orbax folder, a run of training, a .safetensors or a .pt file, or random:PRESET",
    )
    add_vision_argument(parser)
    policy = parser.add_argument_group("the policy")
    policy.add_argument("--seed", type=int, default=0, help="of sessions that bring none")
    policy.add_argument("--ctx", type=int, metavar="N", help="frames to look at; default its own")
    policy.add_argument(
        "--cfg", type=float, default=1.0, metavar="S", help="guidance scale; 1.0, the default: none"
    )
    policy.add_argument("--old-layout", action="store_true", help="its actions have sticks first")
    policy.add_argument("--steps", type=int, help="Euler steps; default the policy's")
    policy.add_argument("--dtype", choices=["float32", "bfloat16"], help="default by device")
    policy.add_argument("--game", metavar="NAME", help="one of the policy's games; default none")
    policy.add_argument("--forbid", metavar="NAMES", default="", help="buttons never pressed")
    policy.add_argument(
        "--realtime", action="store_true", help="also compile for chunks that continue others"
    )
    door = parser.add_argument_group("the address")
    door.add_argument("--port", type=int, help="0: any; default 5556, with --compat-original 5555")
    door.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="default 127.0.0.1")
    door.add_argument("--curve", type=Path, metavar="DIR", help="CurveZMQ keys, made if missing")
    door.add_argument("--token-file", type=Path, metavar="FILE", help="a token clients must send")
    door.add_argument("--http", type=int, metavar="PORT", help="/health and /metrics; 0: any")
    batching = parser.add_argument_group("batches")
    batching.add_argument("--max-batch", type=int, default=8, metavar="N", help="default 8")
    batching.add_argument("--max-wait", type=float, default=2.0, metavar="MS", help="default 2")
    batching.add_argument("--queue", type=int, metavar="N", help="default four batches")
    batching.add_argument("--sessions", type=int, default=256, metavar="N", help="default 256")
    batching.add_argument(
        "--session-timeout", type=float, default=60.0, metavar="S", help="of silence; default 60"
    )
    compat = parser.add_argument_group("the original's client")
    compat.add_argument("--compat-original", action="store_true", help="speak its pickle protocol")
    compat.add_argument(
        "--insecure-compat", action="store_true", help="... to other machines too, without a lock"
    )


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to end."""
    forbidden, door = check(args)

    from nitrogen_jax import terminal
    from nitrogen_jax.commands.predict import game_row
    from nitrogen_jax.serving import binding, original, server
    from nitrogen_jax.serving.agent import Agent, make_engine
    from nitrogen_jax.training import signals
    from nitrogen_jax.weights.policies import load_policy

    if args.curve is not None and binding.make_keys(args.curve):
        terminal.console().print(f"made keys in {args.curve}", markup=False)
    # NOTE: the port is taken before anything is loaded: what is wrong with it is said at once.
    if args.compat_original:
        served = original.OriginalServer(door, insecure=args.insecure_compat)
    else:
        served = server.Server(door)
    with contextlib.closing(served), watched(args, served), signals.listening() as asked:
        with terminal.progress(f"reading {args.policy}", None, "bytes") as advance:
            policy = load_policy(args.policy, args.vision, advance)
        game = game_row(args.game, policy)
        engine = make_engine(
            policy,
            frames=args.ctx,
            old_layout=args.old_layout,
            steps=args.steps,
            guidance=None if args.cfg == 1.0 else args.cfg,
            dtype=args.dtype,
            batch=1 if args.compat_original else args.max_batch,
            inpaint=args.realtime,
        )
        engine.warm_up()
        sys.stdout.write(f"ready {served.address}\n")
        sys.stdout.flush()
        if args.compat_original:
            agent = Agent(engine, seed=args.seed, forbidden=forbidden, game=game)
            about = original.info_of(args.policy, args.old_layout, args.cfg, engine.facts.frames)
            served.run(agent, about, lambda: asked.stop)
        else:
            options = describe(args, policy, game, forbidden, door)
            batching = server.Batching(args.max_batch, args.max_wait / 1e3, args.queue)
            served.run(engine, options, batching, lambda: asked.stop)
    return 130 if asked.interrupted else 0


def check(args: argparse.Namespace) -> tuple[frozenset[str], Door]:
    """Refuses bad options before anything is loaded; the forbidden buttons and the address."""
    from nitrogen_jax import gamepad
    from nitrogen_jax.serving import binding, original

    for name, least in (("ctx", 1), ("steps", 1), ("max_batch", 1), ("queue", 1), ("sessions", 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            option = name.replace("_", "-")
            raise NitrogenError(f"--{option} is {value}, where at least {least} is needed")
    for name in ("max_wait", "session_timeout", "cfg"):
        value = getattr(args, name)
        if not math.isfinite(value) or value < 0:
            option = name.replace("_", "-")
            raise NitrogenError(f"--{option} is {value}, where 0 or more is needed")
    if not 0 <= args.seed < 2**64:
        raise NitrogenError(f"--seed is {args.seed}, where 0 to 2**64 - 1 is needed")
    if args.insecure_compat and not args.compat_original:
        raise NitrogenError("--insecure-compat belongs to --compat-original")
    if args.compat_original and (args.curve or args.token_file or args.http is not None):
        raise NitrogenError("--compat-original knows no --curve, --token-file and --http")
    names = [name.strip().upper() for name in args.forbid.split(",") if name]
    usual = original.PORT if args.compat_original else 5556
    token = None if args.token_file is None else binding.read_token(args.token_file)
    port = usual if args.port is None else args.port
    return gamepad.button_set(names), binding.Door(args.bind, port, token, args.curve)


@contextlib.contextmanager
def watched(args: argparse.Namespace, served: Any) -> Iterator[None]:
    """Health and metrics over HTTP, where they are asked for."""
    if args.http is None:
        yield
        return
    from nitrogen_jax import terminal
    from nitrogen_jax.serving.status_page import HOST, StatusPage

    page = StatusPage(args.http, lambda: served.state, served.metrics.prometheus)
    terminal.console().print(f"health and metrics: http://{HOST}:{page.port}/metrics", markup=False)
    with contextlib.closing(page):
        yield


def describe(
    args: argparse.Namespace,
    policy: Checkpoint,
    game: int,
    forbidden: frozenset[str],
    door: Door,
) -> Options:
    """What the sessions of this server have in common."""
    from nitrogen_jax.serving.desk import Options

    return Options(
        seed=args.seed,
        forbidden=forbidden,
        game=game,
        games=dict(policy.meta.games or {}),
        token=door.token,
        most_sessions=args.sessions,
        session_timeout=args.session_timeout,
        about={
            "policy": args.policy,
            "step": policy.meta.step,
            "steps": args.steps or policy.meta.config.euler_steps,
            "cfg": args.cfg,
            "games": sorted(policy.meta.games or {}),
            "forbidden": sorted(forbidden),
        },
    )
