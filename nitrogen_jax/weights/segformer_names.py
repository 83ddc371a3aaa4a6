"""What published SegFormer files call our parameters: the names of transformers 4 and of 5."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nitrogen_jax.models import segformer
from nitrogen_jax.models.segformer_config import SegformerConfig
from nitrogen_jax.weights import rules
from nitrogen_jax.weights.rules import CONV, Rule, dense, nested, norm

_CLASSIFIER = ("classifier.weight", "classifier.bias")  # of an encoder that classifies pictures
_COUNT = "decode_head.batch_norm.num_batches_tracked"
_PREFIX = "segformer."


def _convolution(ours: str, foreign: str) -> list[Rule]:
    return [
        Rule(f"{ours}/kernel", rf"{foreign}.weight", CONV),
        Rule(f"{ours}/bias", rf"{foreign}.bias"),
    ]


def _decoder(projections: str) -> list[Rule]:
    return nested(
        [
            *dense(r"project_(\d+)", rf"{projections}.\1.proj"),
            Rule("fuse", "linear_fuse.weight", CONV),
            *norm("norm", "batch_norm"),
            Rule("norm/mean", "batch_norm.running_mean"),
            Rule("norm/var", "batch_norm.running_var"),
            *_convolution("head", "classifier"),
        ],
        "decoder/",
        "decode_head.",
    )


_BLOCK = r"stages_(\d+)/blocks_(\d+)/"
_BLOCK_4 = r"encoder.block.\1.\2."
_BLOCK_5 = r"stages.\1.blocks.\2."
_LETTERS = (("q", "query"), ("k", "key"), ("v", "value"))

TRANSFORMERS_4 = [
    *_convolution(r"stages_(\d+)/patches/proj", r"encoder.patch_embeddings.\1.proj"),
    *norm(r"stages_(\d+)/patches/norm", r"encoder.patch_embeddings.\1.layer_norm"),
    *norm(r"stages_(\d+)/norm", r"encoder.layer_norm.\1"),
    *norm(_BLOCK + "norm([12])", _BLOCK_4 + r"layer_norm_\3"),
    *[
        rule
        for letter, word in _LETTERS
        for rule in dense(_BLOCK + f"attn/{letter}", _BLOCK_4 + f"attention.self.{word}")
    ],
    *dense(_BLOCK + "attn/out", _BLOCK_4 + "attention.output.dense"),
    *_convolution(_BLOCK + "reduce/proj", _BLOCK_4 + "attention.self.sr"),
    *norm(_BLOCK + "reduce/norm", _BLOCK_4 + "attention.self.layer_norm"),
    *dense(_BLOCK + "mlp/fc([12])", _BLOCK_4 + r"mlp.dense\3"),
    *_convolution(_BLOCK + "mlp/depthwise", _BLOCK_4 + "mlp.dwconv.dwconv"),
    *_decoder("linear_c"),
]

TRANSFORMERS_5 = [
    *_convolution(r"stages_(\d+)/patches/proj", r"stages.\1.patch_embeddings.proj"),
    *norm(r"stages_(\d+)/patches/norm", r"stages.\1.patch_embeddings.layer_norm"),
    *norm(r"stages_(\d+)/norm", r"stages.\1.layer_norm"),
    *norm(_BLOCK + "norm1", _BLOCK_5 + "layernorm_before"),
    *norm(_BLOCK + "norm2", _BLOCK_5 + "layernorm_after"),
    *dense(_BLOCK + "attn/([qkv])", _BLOCK_5 + r"attention.\3_proj"),
    *dense(_BLOCK + "attn/out", _BLOCK_5 + "attention.o_proj"),
    *_convolution(
        _BLOCK + "reduce/proj", _BLOCK_5 + "attention.sequence_reduction.sequence_reduction"
    ),
    *norm(_BLOCK + "reduce/norm", _BLOCK_5 + "attention.sequence_reduction.layer_norm"),
    *dense(_BLOCK + "mlp/fc([12])", _BLOCK_5 + r"mlp.fc\3"),
    *_convolution(_BLOCK + "mlp/depthwise", _BLOCK_5 + "mlp.dwconv.dwconv"),
    *_decoder("linear_projections"),
]

# the tensor that tells which names a file uses -> its table
TABLES = {
    "encoder.patch_embeddings.0.proj.weight": TRANSFORMERS_4,
    "stages.0.patch_embeddings.proj.weight": TRANSFORMERS_5,
}


def names_of(tensors: Mapping[str, Any]) -> tuple[str, str] | None:
    """The key of the table and the encoder's prefix; None where this is no SegFormer."""
    for prefix in (_PREFIX, ""):
        for mark in TABLES:
            if prefix + mark in tensors:
                return mark, prefix
    return None


def table_of(mark: str, prefix: str) -> list[Rule]:
    """The table of what `names_of` found."""
    return [
        rule if rule.ours.startswith("decoder/") else nested([rule], "", prefix)[0]
        for rule in TABLES[mark]
    ]


def to_ours(
    tensors: Mapping[str, Any],
    cfg: SegformerConfig,
    source: str,
    hint: str = "",
    progress: Callable[[int], None] = lambda amount: None,
) -> dict[str, np.ndarray]:
    """A file's tensors -> checked nested float32 parameters; one error lists what does not fit."""
    table = table_of(*(names_of(tensors) or ("stages.0.patch_embeddings.proj.weight", "")))
    used = {name: value for name, value in tensors.items() if name not in (*_CLASSIFIER, _COUNT)}
    return rules.to_ours(used, segformer.shapes(cfg), table, source, hint, progress)
