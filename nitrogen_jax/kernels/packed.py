"""Dense layers of few rows on a CPU: weights packed once, multiplied by our own kernel.

Sampling multiplies one chunk of actions with all of the denoiser's weights at every step. XLA
rearranges the weights for each product, which takes as long as the product; here they are
rearranged once for a parameter set and passed to the program beside the parameters:

    packed = pack_for(function, params, *args)          # {} where the kernel is of no use
    program = jax.jit(with_packed(function))            # (packed, params, *args)
"""

from __future__ import annotations

import ctypes
import functools
import logging
import math
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from nitrogen_jax.kernels import build
from nitrogen_jax.models.configs import Compute

log = logging.getLogger(__name__)

MAX_ROWS = 64  # with more rows XLA is about as fast
WORTH_WHILE = 32 << 20  # bytes of weights: what stays in a cache XLA multiplies as fast
TARGET = "nitrogen_rows_matmul"


class Packed(NamedTuple):
    """One dense layer, its outputs in panels of P columns, the last one padded with zeros."""

    kernel: Array  # (panels, inputs, P)
    bias: Array  # (panels, P)


Layers = Mapping[str, Packed]  # by the layer's path, "dit/blocks_0/mlp/fc1"


def usable(compute: Compute) -> bool:
    """Whether this machine has the kernel and `compute` is what it computes."""
    return (
        jax.default_backend() == "cpu"
        and compute.dtype == "float32"
        and compute.precision in (None, "highest")
        and os.environ.get("NITROGEN_KERNELS", "1") != "0"
        and panel_width() is not None
    )


def panel_width() -> int | None:
    """Columns of a panel, a property of the processor; None where there is no kernel."""
    with _loading:
        return _load()


def pack(kernel: Array, bias: Array | None) -> Packed:
    """kernel (inputs, outputs), bias (outputs,) -> panels."""
    inputs, outputs = kernel.shape
    width = panel_width()
    panels = -(-outputs // width)
    bias = jnp.zeros(outputs, kernel.dtype) if bias is None else bias
    kernel = jnp.pad(kernel, ((0, 0), (0, panels * width - outputs)))
    bias = jnp.pad(bias, (0, panels * width - outputs))
    return Packed(
        kernel.reshape(inputs, panels, width).transpose(1, 0, 2), bias.reshape(panels, width)
    )


def matmul(x: Array, packed: Packed, outputs: int) -> Array:
    """x (..., inputs) of at most `MAX_ROWS` rows in all -> x @ kernel + bias (..., outputs)."""
    flat = x.reshape(-1, x.shape[-1])
    call = jax.ffi.ffi_call(TARGET, jax.ShapeDtypeStruct((len(flat), outputs), jnp.float32))
    return call(flat, *packed).reshape(*x.shape[:-1], outputs)


def pack_for(
    function: Callable, params: Mapping[str, Any], *args: Any, compute: Compute, least: int = 0
) -> dict[str, Packed]:
    """Packs the dense layers that `function(params, *args)` applies to few rows.

    Args:
        args: arrays or `jax.ShapeDtypeStruct`s; the function is traced, not run.
        compute: how the function computes; {} where the kernel cannot.
        least: bytes of weights below which it is not worth while, and the answer is {} too.
    """
    found: set[str] = set()

    def note(call, args, kwargs, context):
        if _is_dense_of_few_rows(context, args):
            found.add("/".join(context.module.path))
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(function, params, *args)
    layers = {path: _at(params, path) for path in sorted(found)}
    # NOTE: size first, since asking for the kernel may compile it.
    if sum(layer["kernel"].nbytes for layer in layers.values()) < least or not usable(compute):
        return {}
    one = jax.jit(lambda layer: pack(layer["kernel"], layer.get("bias")))
    return {path: one(layer) for path, layer in layers.items()}


def with_packed(function: Callable) -> Callable:
    """`function` with packed layers as one more argument, before all others."""

    @functools.wraps(function)
    def call(layers: Layers, *args, **kwargs):
        def replace(call, args, kwargs, context):
            path = "/".join(context.module.path)
            if path in layers and _is_dense_of_few_rows(context, args):
                return matmul(args[0], layers[path], context.module.features)
            return call(*args, **kwargs)

        with nn.intercept_methods(replace):
            return function(*args, **kwargs)

    return call


def _is_dense_of_few_rows(context: nn.module.InterceptorContext, args: tuple) -> bool:
    return (
        isinstance(context.module, nn.Dense)
        and context.method_name == "__call__"
        and 1 <= math.prod(args[0].shape[:-1]) <= MAX_ROWS
    )


def _at(tree: Mapping[str, Any], path: str) -> Any:
    return functools.reduce(lambda node, name: node[name], path.split("/"), tree)


_loading = threading.Lock()


@functools.cache
def _load() -> int | None:
    path = build.shared_object()
    if path is None:
        return None
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        log.info("no kernel for products of few rows, XLA computes them: %s", error)
        return None
    jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(getattr(library, TARGET)), platform="cpu")
    return library.nitrogen_panel()
