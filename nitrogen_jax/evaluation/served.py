"""A checkpoint, served by this process for the workers of an evaluation: one call for all of them.

NOTE: there is one batch size alone. Another one is another program, whose sums may be rounded
differently, and then an episode would depend on who else is playing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nitrogen_jax.serving.facts import Facts

_END_S = 60.0  # that a last batch may take


@dataclass(frozen=True)
class Served:
    """A policy that answers.

    Attributes:
        address: on loopback.
        identity: of its parameters and configuration.
        about: what is worth knowing of it.
    """

    address: str
    facts: Facts
    identity: str
    about: Mapping[str, Any]


@contextlib.contextmanager
def serving(
    policy: str,
    batch: int,
    vision: str | Path | None = None,
    advance: Callable[[float], None] = lambda amount: None,
) -> Iterator[Served]:
    """Loads a checkpoint and serves it until the block ends.

    Args:
        policy: as `weights.policies.load_policy` takes it.
        batch: questions of one call.
        advance: is told how many bytes of it were read.
    """
    import jax

    from nitrogen_jax.serving.agent import served_config
    from nitrogen_jax.serving.binding import Door
    from nitrogen_jax.serving.desk import Options
    from nitrogen_jax.serving.engine import Engine
    from nitrogen_jax.serving.sampler import Sampler, default_compute
    from nitrogen_jax.serving.server import Batching, Server
    from nitrogen_jax.weights.policies import load_policy

    loaded = load_policy(policy, vision, advance)
    config = served_config(loaded.meta.config, None, False)
    sampler = Sampler(config, loaded.params, compute=default_compute(), buckets=(batch,))
    engine = Engine(sampler, control_rate=loaded.meta.control_rate)
    engine.warm_up()
    server, stop = Server(Door()), threading.Event()
    batching = Batching(most_batch=engine.largest, queue=4 * max(batch, 64))
    thread = threading.Thread(
        target=server.run, args=(engine, Options(), batching, stop.is_set), daemon=True
    )
    thread.start()
    try:
        yield Served(
            server.address,
            engine.facts,
            fingerprint(loaded),
            {
                "step": loaded.meta.step,
                "euler_steps": config.euler_steps,
                "dtype": sampler.compute.dtype,
                "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
                "jax": jax.__version__,
            },
        )
    finally:
        stop.set()
        thread.join(_END_S)


def fingerprint(checkpoint: Any) -> str:
    """Of all parameters and the configuration: 16 hexadecimal digits."""
    import jax
    import numpy as np

    from nitrogen_jax import config

    told = config.to_dict(checkpoint.meta.config)
    seen = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(dict(checkpoint.params)):
        array = np.ascontiguousarray(leaf)
        seen.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        seen.update(array.view(np.uint8).data if array.ndim else array.tobytes())
    return seen.hexdigest()[:16]
