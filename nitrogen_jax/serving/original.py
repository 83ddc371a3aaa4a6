"""The protocol of the original's server, for its own client: pickles over REQ and REP, one session.

Off unless asked for. What arrives is read by `original_pickle` and not by pickle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import zmq

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving import binding, original_pickle
from nitrogen_jax.serving.binding import Door
from nitrogen_jax.serving.facts import LAYOUT, Player

log = logging.getLogger(__name__)

PORT = 5555
_TURN = 200  # milliseconds after which the loop looks whether it is to stop


class OriginalServer:
    """Listens when it is made; `run` serves one client after the other, all in one session."""

    def __init__(self, door: Door, *, insecure: bool = False):
        """
        Args:
            insecure: let other machines in; the protocol knows no key and no token.
        """
        if not binding.is_loopback(door.address) and not insecure:
            raise NitrogenError(
                f"--bind {door.address} can be reached from other machines and the original's "
                "protocol has no lock: use an SSH tunnel, or add --insecure-compat"
            )
        self._context = zmq.Context()
        try:
            self._socket, self.address = binding.listen(self._context, zmq.REP, door)
        except NitrogenError:
            self._context.term()
            raise

    def run(self, player: Player, info: Mapping[str, Any], stop: Callable[[], bool]) -> None:
        """Serves until `stop` says so.

        Args:
            info: what the client reads, of `info_of`.
        """
        try:
            while not stop():
                if self._socket.poll(_TURN):
                    parts = self._socket.recv_multipart()
                    self._socket.send(original_pickle.dumps(answer(parts, player, info)))
        finally:
            self.close()

    def close(self) -> None:
        """Stops listening."""
        self._socket.close()
        self._context.term()


def info_of(policy: str, old_layout: bool, guidance: float, frames: int) -> dict[str, Any]:
    """What the original's client reads.

    Args:
        policy: name of the checkpoint; its stem names the client's recordings.
        guidance: as the original counts it: 1.0 is none.
    """
    return {
        "ckpt_path": policy,
        "selected_game": None,
        "old_layout": old_layout,
        "cfg_scale": guidance,
        "context_length": frames,
        "action_interleaving": False,
        "is_flowmatching": True,
        "action_downsample_ratio": 1,
    }


def answer(parts: list[bytes], player: Player, info: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to one message; whatever the message is, there is one."""
    try:
        if len(parts) != 1:
            raise NitrogenError(f"the message has {len(parts)} parts, where one is needed")
        request = original_pickle.loads(parts[0])
        if not isinstance(request, dict):
            raise NitrogenError("the message is not a dict")
        kind = request.get("type")
        if kind == "reset":
            player.reset()
            return {"status": "ok"}
        if kind == "info":
            return {"status": "ok", "info": dict(info)}
        if kind == "predict":
            return {"status": "ok", "pred": _predict(request.get("image"), player)}
        name = f"{kind!r:.40}" if isinstance(kind, str) else f"a {type(kind).__name__}"
        raise NitrogenError(f"type is {name}, where reset, info and predict are known")
    except NitrogenError as error:
        log.warning("refused: %s", error)
        return {"status": "error", "message": str(error)}
    except Exception:  # the next client must find a server
        log.exception("a message could not be handled")
        return {"status": "error", "message": "the server failed; its log says why"}


def _predict(image: Any, player: Player) -> dict[str, Any]:
    actions = player.act(original_pickle.to_picture(image))
    pad = gamepad.decode(actions, layout=LAYOUT)
    return {"j_left": pad.left, "j_right": pad.right, "buttons": pad.buttons.astype("float32")}
