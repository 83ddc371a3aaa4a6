"""FLOPs and traffic from HLO text, against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.plan import counts, hlo

LOOP = """\
HloModule m

fused (p: f32[24,8,8], q: s32[], v: f32[8,8]) -> f32[8,8] {
  p = f32[24,8,8] parameter(0)
  q = s32[] parameter(1)
  v = f32[8,8] parameter(2)
  z = s32[] constant(0)
  s = f32[1,8,8] dynamic-slice(p, q, z, z), dynamic_slice_sizes={1,8,8}
  b = f32[8,8] bitcast(s)
  ROOT d = f32[8,8] dot(b, v), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

body (t: (f32[24,8,8], s32[], f32[8,8])) -> (f32[24,8,8], s32[], f32[8,8]) {
  t = (f32[24,8,8], s32[], f32[8,8]) parameter(0)
  w = f32[24,8,8] get-tuple-element(t), index=0
  i = s32[] get-tuple-element(t), index=1
  x = f32[8,8] get-tuple-element(t), index=2
  one = s32[] constant(1)
  n = s32[] add(i, one)
  y = f32[8,8] fusion(w, i, x), kind=kOutput, calls=fused
  ROOT o = (f32[24,8,8], s32[], f32[8,8]) tuple(w, n, y)
}

cond (t: (f32[24,8,8], s32[], f32[8,8])) -> pred[] {
  t = (f32[24,8,8], s32[], f32[8,8]) parameter(0)
  i = s32[] get-tuple-element(t), index=1
  l = s32[] constant(24)
  ROOT c = pred[] compare(i, l), direction=LT
}

ENTRY main (w: f32[24,8,8], x: f32[8,8]) -> f32[8,8] {
  w = f32[24,8,8] parameter(0)
  x = f32[8,8] parameter(1)
  zero = s32[] constant(0)
  t = (f32[24,8,8], s32[], f32[8,8]) tuple(w, zero, x)
  l = (f32[24,8,8], s32[], f32[8,8]) while(t), condition=cond, body=body
  y = f32[8,8] get-tuple-element(l), index=2
  ROOT e = f32[8,8] dot(y, y), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}
"""
PRODUCT = 2 * 8**3


def test_a_loop_counts_as_often_as_it_runs():
    module = hlo.parse(LOOP)
    assert counts.count(module).flops == 25 * PRODUCT
    assert counts.count(module, trips=False).flops == 2 * PRODUCT
    scaled = counts.scaled(module, {"flops": 1000.0, "bytes accessed": None})
    assert scaled == {"flops": 1000.0 * 25 / 2, "bytes accessed": None}


def test_a_fusion_reads_the_slice_that_it_looks_at():
    """Not the stack of all blocks: weight, index, input and output; the counter beside it."""
    module = hlo.parse(LOOP)
    (once,) = (c for c, _, fused in module.walk() if c.name == "body" and not fused)
    fusion = once.instructions["y"]
    assert counts._traffic(module, once, fusion) == 256 + 4 + 256 + 256


def test_memory_on_the_chip_is_no_traffic():
    text = "HloModule m\n\nENTRY e (a: f32[8]) -> f32[8] {\n  a = f32[8]{0:T(8)MARK} parameter(0)\n"
    text += "  ROOT b = f32[8]{0:T(8)} negate(a)\n}\n"
    assert counts.count(hlo.parse(text.replace("MARK", ""))).bytes == 64
    assert counts.count(hlo.parse(text.replace("MARK", "S(1)"))).bytes == 32


@given(
    st.integers(1, 9), st.integers(1, 5), st.integers(1, 3), st.integers(0, 4), st.integers(0, 4),
    st.integers(1, 3), st.integers(1, 3),
)  # fmt: skip
def test_a_convolution_counts_what_its_window_sees(size, window, stride, low, high, spread, step):
    """Against counting one by one."""
    span = (size - 1) * spread + 1
    out = (low + span + high - ((window - 1) * step + 1)) // stride + 1
    if out < 1:
        return
    padded = np.zeros(low + span + high, int)
    padded[low : low + span : spread] = 1
    seen = sum(padded[o * stride + k * step] for o in range(out) for k in range(window))
    line = (
        f"  ROOT c = f32[2,{out},5] convolution(a, k), window={{size={window} stride={stride} "
        f"pad={low}_{high} lhs_dilate={spread} rhs_dilate={step}}}, dim_labels=b0f_0io->b0f\n"
    )
    text = (
        f"HloModule m\n\nENTRY e () -> f32[] {{\n  a = f32[2,{size},3] parameter(0)\n"
        f"  k = f32[{window},3,5] parameter(1)\n{line}}}\n"
    )
    assert counts.count(hlo.parse(text)).flops == 2 * seen * 2 * 3 * 5


@pytest.mark.parametrize(
    ("line", "flops"),
    [
        (
            "dot(a, b), lhs_contracting_dims={2}, rhs_contracting_dims={1}, lhs_batch_dims={0}",
            2 * 84 * 6,
        ),
        ("convolution(a, a), window={}", 0),  # no labels: not a product that can be read
        ("add(a, b)", 0),
    ],
)
def test_other_instructions(line, flops):
    text = "HloModule m\n\nENTRY e () -> f32[] {\n  a = f32[3,4,6] parameter(0)\n"
    text += f"  b = f32[3,6,7] parameter(1)\n  ROOT r = f32[3,4,7] {line}\n}}\n"
    assert counts.count(hlo.parse(text)).flops == flops
