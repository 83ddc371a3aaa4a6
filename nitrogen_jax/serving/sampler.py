"""The NumPy bridge: frames in, action chunks out, around one jitted Euler sampler.

What depends on the parameters alone is computed when a `Sampler` is made; one program is compiled
per batch bucket, ahead of the first call, and nothing is traced after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from nitrogen_jax import flow
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.kernels import packed
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import Compute, PolicyConfig
from nitrogen_jax.models.context import check_fits
from nitrogen_jax.training import mesh as meshes

DEFAULT_BUCKETS = (1, 2, 4, 8, 16, 32, 64)


def default_compute(dtype: str | None = None) -> Compute:
    """bfloat16 on an accelerator, float32 on a CPU, unless `dtype` says."""
    dtype = dtype or ("float32" if jax.default_backend() == "cpu" else "bfloat16")
    if dtype not in ("float32", "bfloat16"):
        raise NitrogenError(f"dtype is {dtype!r}, where 'float32' or 'bfloat16' is needed")
    return Compute(dtype=dtype)


def draw_noise(seed: int, rows: Sequence[int], shape: tuple[int, int]) -> np.ndarray:
    """Starting noise (len(rows), T, A) float32; a row's noise depends on seed and row alone.

    NOTE: so the same picture gets the same actions whatever batch it is in, and wherever a run
    was interrupted; and it is drawn on the host, the same for every back end.
    """
    streams = (np.random.Generator(np.random.Philox(key=[seed, row])) for row in rows)
    noise = [stream.standard_normal(shape, np.float32) for stream in streams]
    return np.stack(noise) if noise else np.zeros((0, *shape), np.float32)


class Sampler:
    """Compiled sampling with one parameter set on one mesh."""

    def __init__(
        self,
        cfg: PolicyConfig,
        params: Mapping[str, Any],
        *,
        compute: Compute | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        buckets: Sequence[int] = DEFAULT_BUCKETS,
        mesh: Mesh | None = None,
        kernels: bool | None = None,
    ):
        """Puts the parameters on the devices and computes what the timesteps decide.

        Args:
            steps: Euler steps, the config's if None.
            guidance: scale of guidance; None samples conditionally, at half the cost.
            buckets: batch sizes to compile for; a batch is padded to the next one, rounded up
                to a multiple of the mesh's devices.
            kernels: multiply small batches with our own kernel on a CPU that has it; None does
                so where the network is large enough to gain by it.
        """
        if steps is not None and steps < 1:
            raise NitrogenError(f"steps is {steps}, where at least 1 Euler step is needed")
        self.cfg, self.guidance = cfg, guidance
        self.compute = compute or default_compute()
        self.mesh = mesh or meshes.make_mesh()
        count = self.mesh.size
        self.buckets = tuple(sorted({-(-bucket // count) * count for bucket in buckets}))
        if not self.buckets or min(buckets) < 1:
            raise NitrogenError(
                f"buckets are {tuple(buckets)}, where sizes of 1 or more are needed"
            )
        whole = meshes.replicated(self.mesh)
        params = jax.device_put(params, whole)
        make = partial(policy.conditioning, cfg, steps=steps, compute=self.compute)
        self.conditioning = jax.jit(make, out_shardings=whole)(params)
        # NOTE: matrices are cast once, not at every step; conditioning was made in float32 first.
        self.params = _cast(params, self.compute.dtype)
        self._kernels = kernels is not False and self.mesh.size == 1
        self._least = packed.WORTH_WHILE if kernels is None else 0
        self._programs: dict[tuple[int, bool], Any] = {}

    def bucket(self, batch: int) -> int:
        """The compiled batch size that serves `batch`."""
        for size in self.buckets:
            if size >= batch:
                return size
        return self.buckets[-1]

    def program(self, bucket: int, inpaint: bool = False) -> Any:
        """The executable for one batch size, compiled when first asked for.

        Args:
            inpaint: the program that takes known actions.
        """
        key = (bucket, inpaint)
        if key not in self._programs:
            self._programs[key] = self.lower(bucket, inpaint=inpaint).compile()
        return self._programs[key]

    def warm_up(self, buckets: Sequence[int] | None = None) -> None:
        """Compiles ahead, so that no later call does."""
        for bucket in buckets or self.buckets:
            self.program(self.bucket(bucket))

    def drop_largest(self) -> None:
        """Does without the largest batch size, of two or more."""
        largest = self.buckets[-1]
        self.buckets = self.buckets[:-1]
        for inpaint in (False, True):
            self._programs.pop((largest, inpaint), None)

    def lower(self, bucket: int, *, kernels: bool = True, inpaint: bool = False) -> Any:
        """The traced program of one batch size, not yet compiled; XLA alone without `kernels`."""
        shapes = self._shapes(bucket)
        known = flow.Known(shapes[0], shapes[0]) if inpaint else None
        split, whole = meshes.over_batch(self.mesh), meshes.replicated(self.mesh)
        function = jax.jit(
            packed.with_packed(partial(policy.sample, self.cfg, compute=self.compute)),
            in_shardings=(
                *(whole,) * 3,
                *(None if s is None else split for s in shapes),
                None,
                split if inpaint else None,
            ),
            out_shardings=split,
        )
        layers, *constants = self._constants(bucket, inpaint)
        layers = layers if kernels else {}
        return function.lower(layers, *constants, *shapes, self._scale(), known)

    @cached_property
    def _packed(self) -> packed.Layers:
        """What the Euler loop multiplies few rows with, packed for that; {} without a kernel."""
        if not self._kernels:
            return {}
        cfg, rows = self.cfg, self.buckets[0] * (1 if self.guidance is None else 2)
        noise = self._shapes(self.buckets[0])[0]
        context = (rows, cfg.context_length, cfg.vision.width)
        loop = partial(policy.denoise, cfg, compute=self.compute)
        shapes = (noise, jax.ShapeDtypeStruct(context, jnp.float32), self._scale())
        layers = packed.pack_for(
            loop,
            self.params,
            self.conditioning,
            *shapes,
            compute=self.compute,
            least=self._least,
        )
        return jax.device_put(layers, meshes.replicated(self.mesh))

    def _constants(
        self, bucket: int, inpaint: bool = False
    ) -> tuple[packed.Layers, Any, policy.Conditioning]:
        """The arguments of a program that are the same in every call."""
        branches = 1 if self.guidance is None else 2
        # NOTE: our kernel has no derivative, which inpainting takes.
        few = branches * bucket * self.cfg.horizon <= packed.MAX_ROWS and not inpaint
        return self._packed if few else {}, self.params, self.conditioning

    def _scale(self) -> Array | None:
        return None if self.guidance is None else jnp.float32(self.guidance)

    def __call__(
        self,
        frames: np.ndarray,
        noise: np.ndarray,
        dropped: np.ndarray | None = None,
        game_ids: np.ndarray | None = None,
        known: flow.Known | None = None,
    ) -> np.ndarray:
        """Actions (B, T, A) float32, still packed.

        Args:
            frames: (B, F, size, size, 3) uint8, the newest last.
            noise: (B, T, A) float32, see `draw_noise`.
            dropped: (B, F) bool, missing frames; None for none.
            game_ids: (B,) rows of the game embedding, 0 = no game; None for none.
            known: values and weights (B, T, A) float32 that the chunks are to agree with, still
                packed; see `flow.inpaint`.
        """
        dropped, game_ids = self._checked(frames, noise, dropped, game_ids)
        for one in known or ():
            if one.shape != noise.shape or one.dtype != np.float32:
                raise NitrogenError(
                    f"known actions are {one.dtype} {one.shape}, where values and weights must be "
                    f"float32 {noise.shape}"
                )
        largest = self.buckets[-1]
        parts = []
        for start in range(0, len(frames), largest):
            rows = slice(start, start + largest)
            part = None if known is None else flow.Known(*(one[rows] for one in known))
            parts.append(self._run(frames[rows], noise[rows], dropped[rows], game_ids[rows], part))
        return np.concatenate(parts)

    def _run(self, frames, noise, dropped, game_ids, known) -> np.ndarray:
        batch, bucket = len(frames), self.bucket(len(frames))
        inputs = (noise, frames, dropped, game_ids if self.cfg.games is not None else None, known)
        if bucket > batch:
            inputs = jax.tree.map(lambda array: _padded(array, bucket), inputs)
        inpaint = known is not None
        program = self.program(bucket, inpaint)
        *inputs, known = jax.device_put(inputs, meshes.over_batch(self.mesh))
        constants = self._constants(bucket, inpaint)
        return np.asarray(program(*constants, *inputs, self._scale(), known))[:batch]

    def _shapes(self, bucket: int) -> tuple[jax.ShapeDtypeStruct | None, ...]:
        cfg, size = self.cfg, self.cfg.vision.image_size
        games = None if cfg.games is None else jax.ShapeDtypeStruct((bucket,), jnp.int32)
        return (
            jax.ShapeDtypeStruct((bucket, cfg.horizon, cfg.action_dim), jnp.float32),
            jax.ShapeDtypeStruct((bucket, cfg.frames, size, size, 3), jnp.uint8),
            jax.ShapeDtypeStruct((bucket, cfg.frames), jnp.bool_),
            games,
        )

    def _checked(self, frames, noise, dropped, game_ids) -> tuple[np.ndarray, np.ndarray]:
        cfg, size = self.cfg, self.cfg.vision.image_size
        wanted = (cfg.frames, size, size, 3)
        if frames.ndim != 5 or frames.shape[1:] != wanted or frames.dtype != np.uint8:
            raise NitrogenError(
                f"frames are {frames.dtype} {frames.shape}, where uint8 (batch, {cfg.frames}, "
                f"{size}, {size}, 3) is needed"
            )
        batch = len(frames)
        if batch == 0:
            raise NitrogenError("the batch is empty, where at least 1 example is needed")
        if noise.shape != (batch, cfg.horizon, cfg.action_dim):
            raise NitrogenError(
                f"noise has shape {noise.shape}, where {(batch, cfg.horizon, cfg.action_dim)} is "
                "needed"
            )
        dropped = np.zeros((batch, cfg.frames), bool) if dropped is None else dropped
        game_ids = np.zeros(batch, np.int32) if game_ids is None else game_ids.astype(np.int32)
        if dropped.shape != (batch, cfg.frames) or dropped.dtype != np.bool_:
            raise NitrogenError(
                f"dropped is {dropped.dtype} {dropped.shape}, where bool {(batch, cfg.frames)} is "
                "needed"
            )
        rows = cfg.games or 1
        if game_ids.shape != (batch,) or game_ids.min() < 0 or game_ids.max() >= rows:
            raise NitrogenError(
                f"game_ids are {game_ids.tolist()}, where {batch} rows from 0 to {rows - 1} are "
                "needed"
            )
        kept = (~dropped).sum(axis=1)
        check_fits(kept, cfg.vision.tokens, cfg.games is not None, cfg.context_length)
        return dropped, game_ids


def _padded(array: np.ndarray, size: int) -> np.ndarray:
    return np.pad(array, [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1))


def _cast(params: Any, dtype: str) -> Any:
    return jax.tree.map(lambda leaf: leaf if leaf.dtype == dtype else leaf.astype(dtype), params)
