"""The structure of HLO text: shapes, instructions, calls, loops."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.plan import hlo

TEXTS = Path(__file__).with_name("hlo")
# As the TPU compiler writes: layouts with tiles, comments, no trip counts, a loop from 1 by 2.
TPU = (TEXTS / "tpu_loop.txt").read_text()
# As on CPU: trip counts in the back end's configuration, loops in loops, calls and branches.
NESTED = (TEXTS / "nested.txt").read_text()


def runs(module: hlo.Module, trips: bool = True) -> dict[str, int]:
    total: dict[str, int] = {}
    for computation, times, _ in module.walk(trips):
        total[computation.name] = total.get(computation.name, 0) + times
    return total


def test_a_module_of_the_tpu_compiler():
    module = hlo.parse(TPU.replace("LIMIT", "8"))
    assert module.devices == 8
    assert set(module.computations) == {"body", "condition", "main.1_spmd"}
    assert module.entry.name == "main.1_spmd"
    assert module.entry.root.name == "r"
    loop = module.entry.instructions["while.3"]
    assert loop.operands == ("init",)
    assert loop.op_name == "jit(f)/while"
    assert loop.attribute("body") == "%body"
    assert [str(array) for array in loop.arrays] == ["f32[8,128]", "s32[]", "pred[]"]
    assert module.computations["body"].instructions["x"].arrays[0].memory == 1
    assert module.entry.instructions["a"].op_name == "x (y, z)"


@pytest.mark.parametrize(("limit", "trips"), [(8, 4), (9, 4), (10, 5), (1, 0), (0, 0)])
def test_a_counted_loop(limit, trips):
    """From 1 by 2 below the limit, as many times as range() says."""
    module = hlo.parse(TPU.replace("LIMIT", str(limit)))
    assert trips == len(range(1, limit, 2))
    assert runs(module)["body"] == trips
    assert runs(module, trips=False)["body"] == 1
    assert module.unknown_loops() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("direction=LT", "direction=GT"),
        ("ROOT %less = pred[]{:T(512)} compare(%at, %limit)", "ROOT %less = pred[] and(%at, %at)"),
        ("%start = s32[]{:T(128)} copy(%one)", "%start = s32[]{:T(128)} negate(%one)"),
        ("add(%i, %two)", "multiply(%i, %two)"),
        ("constant(LIMIT)", "parameter(1)"),
    ],
)
def test_a_loop_that_cannot_be_counted_counts_once(old, new):
    text = TPU.replace(old, new).replace("LIMIT", "8")
    module = hlo.parse(text)
    assert [loop.name for loop in module.unknown_loops()] == ["while.3"]
    assert runs(module)["body"] == 1


def test_loops_in_loops_calls_and_branches():
    module = hlo.parse(NESTED)
    assert runs(module) == {
        "main": 1,
        "outer": 3,
        "inner": 3 * 5 + 1 + 1,
        "test": 3 + 1 + 3 * (5 + 1),
        "branch_a": 1,
        "branch_b": 1,
    }
    fused = [computation.name for computation, _, inside in module.walk() if inside]
    assert fused == ["inner"]
    loop = module.entry.instructions["w0"]
    assert loop.operands == ("x",)


dtypes = st.sampled_from(sorted({*hlo.BITS, "f8e4m3fn", "f8e5m2", "f8e8m0fnu"} - {"tuple"}))
dims = st.lists(st.integers(0, 300), max_size=4)


@given(st.lists(st.tuples(dtypes, dims), min_size=1, max_size=5), st.booleans())
def test_types_are_read_back(wanted, nested):
    texts = [f"{kind}[{','.join(map(str, size))}]{{0:T(8,128)(2,1)S(3)}}" for kind, size in wanted]
    text = ", /*index=5*/".join(texts)
    found = hlo.arrays(f"(({text}), s32[])" if nested else text)
    expected = [(kind, tuple(size)) for kind, size in wanted] + [("s32", ())] * nested
    assert [(array.dtype, array.dims) for array in found] == expected
    assert all(array.memory == 3 for array in found[: len(wanted)])


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("bf16[1024,1024]{1,0}", 2 << 20),
        ("f32[]", 4),
        ("pred[3]", 3),
        ("s4[5]", 3),
        ("u2[8]", 2),
        ("f8e4m3b11fnuz[7]", 7),
        ("f4e2m1fn[3]", 2),
        ("c128[2]", 32),
        ("token[]", 0),
        ("f32[<=8,4]", 128),
    ],
)
def test_bytes(text, size):
    (array,) = hlo.arrays(text)
    assert array.bytes == size


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text):
    hlo.parse(text)
    hlo.parse(TPU + text)


def test_a_module_without_computations_has_none():
    assert hlo.parse("HloModule empty\n").computations == {}
