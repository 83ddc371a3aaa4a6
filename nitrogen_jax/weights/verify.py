"""Our network against recorded outputs of the original: one row per quantity.

A folder holds `ng.pt`, `io.npz`, `grad_norms.json` and `vision.json`; arrays that it lacks are
skipped and listed. Everything is computed in float32 with exact products.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nitrogen_jax import flow, gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy
from nitrogen_jax.models.configs import FLOAT32, PolicyConfig
from nitrogen_jax.models.context import check_fits
from nitrogen_jax.training.rules import is_trainable
from nitrogen_jax.weights import checkpoint, rules, tables, tower_sizes

TOLERANCE = 1e-4  # of every row; nothing changes it

# row -> recorded arrays that belong to it
ROWS = {
    "encoder": ("vision",),
    "context": ("context_in", "context"),
    "temb": ("temb",),
    "velocity": ("action_tokens", "blocks", "dit_out", "velocity"),
    "actions": ("sampled",),
    "guided": (),  # every array guided_<scale>
    "buttons": ("buttons",),
    "sticks": ("j_left", "j_right"),
    "loss": ("loss",),
}
_GUIDED = re.compile(r"guided_(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
# arrays that the network is given; what depends on one that is missing is skipped
INPUTS = ("dropped", "game_ids", "noise", "train_actions", "train_t", "train_mask")


@dataclass(frozen=True)
class Row:
    """One quantity: the largest absolute error of its arrays (gradients: relative)."""

    name: str
    error: float
    tolerance: float
    arrays: Mapping[str, float]

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance  # False for NaN


@dataclass(frozen=True)
class Report:
    """All rows, and the names of recorded arrays that the folder lacks."""

    rows: tuple[Row, ...]
    skipped: tuple[str, ...]
    notices: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return bool(self.rows) and all(row.ok for row in self.rows)


def verify(
    folder: Path,
    vision: str | Path | None = None,
    tick: Callable[[int], None] = lambda amount: None,
) -> Report:
    """Runs every comparison that the folder has recordings for; `tick` after each stage."""
    folder = Path(folder)
    if not folder.is_dir():
        raise NitrogenError(f"{folder} is not a folder with ng.pt and io.npz")
    weights = folder / "ng.pt"
    loaded = checkpoint.load(weights if weights.exists() else folder, vision)
    if not isinstance(loaded.meta.config, PolicyConfig):
        kind = loaded.meta.name_of_kind
        raise NitrogenError(f"{folder}: its checkpoint is a {kind}, not a policy")
    recorded = _read_arrays(folder / "io.npz")
    cfg, params = loaded.meta.config, jax.tree.map(jnp.asarray, loaded.params)
    inputs = _inputs(cfg, recorded, folder)
    norms = _read_norms(folder / "grad_norms.json", list(rules.flatten(loaded.params)))
    tick(1)
    computed = compute(cfg, params, inputs, recorded)
    tick(1)
    gradients: dict[str, float] | None = None
    if not _lacking(inputs, *INPUTS) and ("loss" in recorded or norms is not None):
        loss, ours = loss_and_gradient_norms(cfg, params, inputs)
        computed["loss"] = np.asarray(loss)
        gradients = None if norms is None else gradient_errors(ours, norms)
    groups = {**ROWS, "guided": tuple(name for name in recorded if _GUIDED.fullmatch(name))}
    rows, skipped = [], _lacking(inputs, *INPUTS)
    for name, arrays in groups.items():
        present = [array for array in arrays if array in recorded and array in computed]
        skipped += [array for array in arrays if array not in present] or ([] if arrays else [name])
        if present:
            errors = {a: max_error(computed[a], recorded[a], f"{folder}: {a}") for a in present}
            rows.append(Row(name, _worst(errors), TOLERANCE, errors))
    if gradients is None:
        skipped.append("grad_norms.json")
    else:
        rows.append(Row("gradients", _worst(gradients), TOLERANCE, gradients))
    return Report(tuple(rows), tuple(skipped), loaded.meta.notices)


def compute(
    cfg: PolicyConfig, params: Any, inputs: Mapping[str, Any], recorded: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Our values of every recorded quantity whose inputs are there, by the recorded name."""
    jitted = jax.jit(partial(policy.network_apply, cfg, compute=FLOAT32), static_argnums=1)
    run: Callable[..., Any] = partial(jitted, params)
    frames, dropped, games, noise, t = (
        inputs.get(name) for name in ("frames", "dropped", "game_ids", "noise", "train_t")
    )
    tokens = run("encode", frames)
    ours: dict[str, Any] = {"vision": tokens}
    if t is not None:
        bucket = flow.to_bucket(t, cfg.timestep_buckets)
        ours["temb"] = run("temb", bucket)
    if not _lacking(inputs, "dropped", "game_ids"):
        ours["context_in"] = run("context_in", tokens, dropped, games)
        ours["context"] = run("mix", ours["context_in"])
        if not _lacking(inputs, "noise", "train_actions", "train_t"):
            x = flow.interpolate(noise, inputs["train_actions"], t)
            kv, given = run("keys_values", ours["context"]), run("conditioning", bucket)
            ours.update(run("denoise_with_blocks", x, given, kv))
    given = jax.jit(partial(policy.conditioning, cfg, compute=FLOAT32))(params)
    sampler = jax.jit(partial(policy.sample, cfg, compute=FLOAT32))

    def sample(guidance: float | None) -> jax.Array:
        return sampler(params, given, noise, frames, dropped, games, guidance)

    of_sample = recorded.keys() & {"sampled", "buttons", "j_left", "j_right"}
    if of_sample and not _lacking(inputs, "noise", "dropped", "game_ids"):
        ours["sampled"] = sample(None)
        if cfg.action_dim == gamepad.ACTION_DIM:
            pad = gamepad.decode(np.asarray(ours["sampled"]), layout=cfg.layout)
            ours |= {"buttons": pad.buttons, "j_left": pad.left, "j_right": pad.right}
    if not _lacking(inputs, "noise", "dropped"):  # no branch of it knows the game
        for name in recorded:
            if match := _GUIDED.fullmatch(name):
                ours[name] = sample(float(match[1]))
    return {name: np.asarray(value, np.float32) for name, value in ours.items()}


def loss_and_gradient_norms(
    cfg: PolicyConfig, params: Any, inputs: Mapping[str, Any]
) -> tuple[jax.Array, dict[str, float]]:
    """The recorded example's loss, and the Frobenius norm of its gradient by parameter path.

    Parameters that the original freezes have norm 0.
    """
    batch = {name: inputs[name] for name in ("frames", "dropped", "game_ids")}
    batch |= {"actions": inputs["train_actions"], "mask": inputs["train_mask"]}

    def objective(params: Any, t: jax.Array, batch: Any, noise: jax.Array):
        run = jax.value_and_grad(partial(policy.loss_at, cfg, compute=FLOAT32))
        loss, gradient = run(params, batch, t, noise)
        return loss, jax.tree.map(jnp.linalg.norm, gradient)

    # NOTE: it runs once, so the time goes into compiling; products are library calls anyway.
    quick = {"xla_backend_optimization_level": 0, "xla_disable_hlo_passes": "fusion"}
    options = quick if jax.default_backend() == "cpu" else None
    run = jax.jit(objective, compiler_options=options)
    loss, norms = run(params, inputs["train_t"], batch, inputs["noise"])
    flat = rules.flatten(norms)
    return loss, {path: float(norm) if is_trainable(path) else 0.0 for path, norm in flat.items()}


def gradient_errors(norms: Mapping[str, float], recorded: Mapping[str, float]) -> dict[str, float]:
    """Relative error of every tensor's gradient norm, by the original's name.

    The error is |ours - recorded| / max(recorded, 1e-6 x the largest recorded). Key biases shift
    all logits of a query alike, so their gradient is 0 and what both sides report is the rounding
    of a sum that cancels; the size of its terms is that of the same layer's key weights, so the
    error of a key bias is taken relative to that norm too. (An exact 0 would miss the recorded
    noise by more than the tolerance under the first measure.)
    """
    foreign = {leaf.path: leaf.foreign for leaf in rules.place(list(norms), tables.NITROGEN)}
    floor = 1e-6 * max(recorded.values(), default=1.0)
    errors = {}
    for path, norm in norms.items():
        reference = recorded[foreign[path]]
        scale = max(reference, floor, 1e-30)
        if path.endswith("/attn/k/bias"):
            scale = max(scale, recorded[foreign[path.replace("/bias", "/kernel")]])
        errors[foreign[path]] = abs(norm - reference) / scale
    return errors


def max_error(ours: np.ndarray, recorded: np.ndarray, place: str) -> float:
    """The largest absolute difference; NaN on either side is an infinite one."""
    if ours.shape != recorded.shape:
        raise NitrogenError(f"{place} has shape {recorded.shape}, where {ours.shape} is needed")
    difference = np.abs(ours.astype(np.float64) - recorded.astype(np.float64))
    return float(np.max(np.where(np.isnan(difference), np.inf, difference), initial=0.0))


def _worst(errors: Mapping[str, float]) -> float:
    return max((float("inf") if np.isnan(e) else e for e in errors.values()), default=0.0)


def _lacking(inputs: Mapping[str, Any], *names: str) -> list[str]:
    """Those of the inputs `names` that the folder should have and has not."""
    return [name for name in names if name not in inputs]


def _inputs(cfg: PolicyConfig, recorded: Mapping[str, np.ndarray], folder: Path) -> dict[str, Any]:
    """Checked inputs: `frames`, and what there is of INPUTS; game_ids is None without games."""
    if "images" not in recorded:
        raise NitrogenError(f"{folder / 'io.npz'}: it has no array 'images', the network's input")
    frames = recorded["images"]
    size = cfg.vision.image_size
    fits = frames.ndim == 5 and frames.shape[2:] == (size, size, 3) and 0 not in frames.shape
    if not fits or frames.dtype != np.uint8:
        raise NitrogenError(
            f"{folder}: images are {frames.dtype} {frames.shape}, where uint8 "
            f"(batch, frames, {size}, {size}, 3) is needed"
        )
    batch, count = frames.shape[:2]
    chunk = (batch, cfg.horizon, cfg.action_dim)

    wanted = {
        "dropped": ((batch, count), bool),
        "game_ids": ((batch,), np.int32),
        "noise": (chunk, np.float32),
        "train_actions": (chunk, np.float32),
        "train_t": ((batch,), np.float32),
        "train_mask": (chunk, bool),
    }
    inputs: dict[str, Any] = {"frames": jnp.asarray(frames)}
    if cfg.games is None:
        del wanted["game_ids"]  # recorded, but they mean nothing
        inputs["game_ids"] = None
    for name, (shape, dtype) in wanted.items():
        if name in recorded:
            if recorded[name].shape != shape:
                raise NitrogenError(
                    f"{folder}: {name} has shape {recorded[name].shape}, where {shape} is needed"
                )
            if name == "game_ids":
                # NOTE: before the cast, which makes small numbers of huge ones.
                _check_games(recorded[name].tolist(), cfg.games, folder)
            inputs[name] = jnp.asarray(recorded[name].astype(dtype))
    if "dropped" in inputs:
        kept = (~np.asarray(inputs["dropped"])).sum(axis=1)
        try:
            check_fits(kept, cfg.vision.tokens, cfg.games is not None, cfg.context_length)
        except NitrogenError as error:
            raise NitrogenError(f"{folder}: {error}") from None
    return inputs


def _check_games(ids: Sequence[float], games: int, folder: Path) -> None:
    if not all(float(row).is_integer() and 0 <= row < games for row in ids):
        raise NitrogenError(
            f"{folder}: game_ids {ids} are not all rows of the game embedding, which has {games}"
        )


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy raises zipfile, ValueError, EOFError, OSError, ...
        raise NitrogenError(
            f"{path} is not a readable .npz file of plain arrays: {error}"
        ) from None
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise NitrogenError(
                f"{path}: {name} is of type {array.dtype}, where numbers are needed"
            )
    return arrays


def _read_norms(path: Path, paths: Sequence[str]) -> dict[str, float] | None:
    """Recorded norms of the parameters at `paths`, by the original's name; None without a file."""
    if not path.exists():
        return None
    data = tower_sizes.read_json(path)
    valid = isinstance(data, dict) and all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in data.values()
    )
    if not valid:
        raise NitrogenError(f"{path}: a table of tensor name -> norm is needed")
    odd = {leaf.foreign for leaf in rules.place(paths, tables.NITROGEN)} ^ data.keys()
    if odd:
        raise NitrogenError(
            f"{path}: it and the checkpoint name different tensors, for example {min(odd)}"
        )
    return {name: float(value) for name, value in data.items()}
