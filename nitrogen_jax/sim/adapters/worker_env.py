"""An environment whose game is run by a worker process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nitrogen_jax.gamepad import Pad
from nitrogen_jax.sim.adapters.adapter_env import AdapterEnv
from nitrogen_jax.sim.adapters.process import Worker, WorkerLost, frame_of
from nitrogen_jax.sim.pad_env import NATIVE_LIMIT


class WorkerEnv(AdapterEnv):
    """A subclass says which Python runs which script, and what its actions are."""

    script = ""

    def __init__(self, **options):
        super().__init__(**options)
        self._worker: Worker | None = None
        self._variables: Mapping[str, float] = {}
        self._answer: Mapping[str, Any] = {}

    def _python(self) -> str:
        raise NotImplementedError

    def _words(self) -> tuple[str, ...]:
        """What the script is started with."""
        return ()

    def _action(self, pad: Pad) -> Any:
        """What the worker makes of a pad ()."""
        raise NotImplementedError

    def _start(self, seed: int) -> Mapping[str, float]:
        if self._worker is None:
            self._worker = Worker(self._python(), self.script, *self._words())
        try:
            answer = self._worker.ask(do="reset", seed=seed, level=self.level)
        except BaseException:
            self._end()
            raise
        self._take(answer)
        return self._variables

    def _act(self, pad: Pad, frames: int) -> tuple[float, bool, str, Mapping[str, float]]:
        assert self._worker is not None
        try:
            answer = self._worker.ask(do="step", action=self._action(pad), frames=frames)
        except WorkerLost as lost:
            self._end()
            return 0.0, False, lost.reason, self._variables
        self._take(answer)
        reason = NATIVE_LIMIT if answer["cut"] else ""
        return answer["reward"], answer["done"], reason, self._variables

    def _take(self, answer: Mapping[str, Any]) -> None:
        self._answer = answer
        self._frame, self._variables = frame_of(answer), answer["variables"]

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()
