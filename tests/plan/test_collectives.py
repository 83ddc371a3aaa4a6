"""Collectives in HLO text: kinds, sizes, groups, how often; and what a ring makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.plan import collectives, hlo
from nitrogen_jax.plan.collectives import Collective

MESH = {"data": 2, "fsdp": 4}
FSDP = "replica_groups={{0,1,2,3},{4,5,6,7}}"


def found(*lines: str, others: str = "") -> list[Collective]:
    """Collectives of an entry computation with these instructions."""
    body = "\n".join(f"  {line}" for line in lines)
    text = f"HloModule m, num_partitions=8\n\n{others}\nENTRY main () -> () {{\n{body}\n}}\n"
    return collectives.find(hlo.parse(text))


@pytest.mark.parametrize(
    ("line", "kind", "arrays", "size", "axis"),
    [
        (
            f"g = bf16[8,16]{{1,0}} all-gather(a), channel_id=1, {FSDP}, dimensions={{0}}",
            "all-gather",
            ["bf16[8,16]"],
            4,
            "fsdp",
        ),
        (
            "g = (bf16[2,16]{1,0}, bf16[4,16]{1,0}) all-gather-start(a), channel_id=1, "
            "replica_groups=[4,2]<=[2,4]T(1,0), dimensions={0}",
            "all-gather",
            ["bf16[4,16]"],
            2,
            "data",
        ),
        (
            "g = ((bf16[2,16], f32[4,4]), (bf16[16,16], f32[4,32])) all-gather-start(a, b), "
            "replica_groups={}, dimensions={1}",
            "all-gather",
            ["bf16[2,128]", "f32[4,32]"],
            8,
            "data+fsdp",
        ),
        (
            f"r = f32[4,4]{{1,0}} all-reduce(b), channel_id=2, {FSDP}, to_apply=add",
            "all-reduce",
            ["f32[4,4]"],
            4,
            "fsdp",
        ),
        (
            "r = (bf16[2,16], f32[4,4]) all-reduce-start(bf16[2,16] %a, f32[4,4] %b), "
            "replica_groups=[1,8]<=[8], to_apply=add",
            "all-reduce",
            ["bf16[2,16]", "f32[4,4]"],
            8,
            "data+fsdp",
        ),
        (
            "s = f32[1,4] reduce-scatter(b), replica_groups=mesh['data'=2,'fsdp'=4] {'fsdp'}, "
            "dimensions={0}, to_apply=add",
            "reduce-scatter",
            ["f32[4,4]"],
            4,
            "fsdp",
        ),
        (
            f"t = f32[4,4] all-to-all(b), {FSDP}, dimensions={{0}}",
            "all-to-all",
            ["f32[4,4]"],
            4,
            "fsdp",
        ),
        (
            "p = (f32[4,4], f32[4,4], u32[], u32[]) collective-permute-start(b), "
            "source_target_pairs={{0,1},{1,2},{2,3},{3,0},{4,5},{5,6},{6,7},{7,4}}",
            "collective-permute",
            ["f32[4,4]"],
            2,
            "fsdp",
        ),
    ],
)
def test_one_collective(line, kind, arrays, size, axis):
    (one,) = found(
        "a = bf16[2,16]{1,0} parameter(0)",
        "b = f32[4,4]{1,0} parameter(1)",
        line,
        "d = f32[1] all-reduce-done(r)",
    )
    assert (one.kind, [str(array) for array in one.arrays]) == (kind, arrays)
    assert (one.size, one.axis(MESH), one.times) == (size, axis, 1)


def test_a_collective_in_an_async_computation():
    (one,) = found(
        "b = f32[4,4] parameter(0)",
        "s = ((f32[4,4]), f32[1,4]) async-start(b), calls=wrapped",
        "e = f32[1,4] async-done(s)",
        others="wrapped (p: f32[4,4]) -> f32[1,4] {\n  p = f32[4,4] parameter(0)\n"
        f"  ROOT r = f32[1,4] reduce-scatter(p), {FSDP}, dimensions={{0}}, to_apply=add\n}}\n",
    )
    assert (one.kind, one.size, str(one.arrays[0])) == ("reduce-scatter", 4, "f32[4,4]")


def test_parts_of_one_collective_in_several_kernels_are_one():
    """As the TPU compiler hides a gather behind kernels; another channel is another gather."""

    def kernel(name: str, channel: int) -> str:
        return (
            f"{name} (p: bf16[2,16]) -> bf16[8,16] {{\n  p = bf16[2,16] parameter(0)\n"
            f"  ROOT g_{name} = bf16[8,16] all-gather(p), channel_id={channel}, {FSDP}, "
            "dimensions={0}\n}\n\n"
        )

    made = found(
        "a = bf16[2,16] parameter(0)",
        "x = bf16[8,16] fusion(a), kind=kCustom, calls=start",
        "y = bf16[8,16] fusion(a), kind=kCustom, calls=middle",
        "z = bf16[8,16] fusion(a), kind=kCustom, calls=other",
        others=kernel("start", 7) + kernel("middle", 7) + kernel("other", 8),
    )
    assert len(made) == 2


@pytest.mark.parametrize(
    ("slicing", "kind"),
    [
        ("ROOT s = f32[1,4] dynamic-slice(t, i, i), dynamic_slice_sizes={1,4}", "reduce-scatter"),
        ("ROOT s = f32[4,4] negate(t)", "all-reduce"),
        (
            "u = f32[1,4] dynamic-slice(t, i, i), dynamic_slice_sizes={1,4}\n"
            "  ROOT s = (f32[1,4], f32[4,4]) tuple(u, t)",
            "all-reduce",
        ),
    ],
)
def test_a_kernel_that_keeps_a_slice_of_a_sum_scatters(slicing, kind):
    """As the TPU compiler writes a reduce-scatter; what keeps the whole sum is none."""
    kernel = (
        "kernel (p: f32[4,4]) -> f32[1,4] {\n  p = f32[4,4] parameter(0)\n"
        "  i = s32[] constant(0)\n"
        f"  r = (f32[4,4]) all-reduce(p), channel_id=3, {FSDP}, to_apply=add\n"
        f"  t = f32[4,4] get-tuple-element(r), index=0\n  {slicing}\n}}\n"
    )
    (one,) = found(
        "b = f32[4,4] parameter(0)",
        "f = f32[1,4] fusion(b), kind=kCustom, calls=kernel",
        others=kernel,
    )
    assert (one.kind, one.payload, one.size) == (kind, 64, 4)


def test_a_collective_in_a_loop_runs_as_often():
    others = (
        "body (p: f32[4,4]) -> f32[4,4] {\n  p = f32[4,4] parameter(0)\n"
        f"  ROOT r = f32[4,4] all-reduce(p), {FSDP}, to_apply=add\n}}\n"
        "test (t: f32[4,4]) -> pred[] {\n  t = f32[4,4] parameter(0)\n"
        "  ROOT y = pred[] constant(true)\n}\n"
    )
    made = found(
        "b = f32[4,4] parameter(0)",
        "w = f32[4,4] while(b), condition=test, body=body, "
        'backend_config={"known_trip_count":{"n":"24"}}',
        others=others,
    )
    (row,) = collectives.summary(made, MESH)
    assert (row.count, row.payload, row.sent) == (24, 24 * 64, 24 * 2 * 64 * 3 / 4)


@given(st.integers(2, 64), st.integers(1, 1000))
def test_a_ring(devices, elements):
    """What is gathered is passed on; reducing for everybody is a scatter and a gather."""
    whole = (hlo.Array("f32", (devices, elements)),)
    everybody = (tuple(range(devices)),)

    def sent(kind: str) -> float:
        return Collective(kind, whole, devices, everybody).sent

    part = 4 * elements
    assert sent("all-gather") == pytest.approx((devices - 1) * part)
    assert sent("all-reduce") == pytest.approx(sent("reduce-scatter") + sent("all-gather"))
    assert sent("all-to-all") < sent("collective-permute") == devices * part
    alone = Collective("all-reduce", whole, 1, ((0,),))
    assert alone.sent == 0
    assert collectives.summary([alone], {"data": 1, "fsdp": 1}) == []


def test_who_is_on_another_host():
    near = Collective("all-reduce", (), 4, ((0, 1, 2, 3), (4, 5, 6, 7)))
    far = Collective("all-reduce", (), 2, ((0, 4), (1, 5)))
    assert (near.spans(4), far.spans(4), far.spans(8)) == (False, True, False)


PARAMETERS = {f"vision/layers_{at}/mlp/kernel": (64, 256) for at in range(6)} | {
    "out/kernel": (256, 25),
    "patch/kernel": (4, 4, 4, 128),
}


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        ((64, 256), True),
        ((256, 64), True),
        ((6, 64, 256), True),  # all blocks stacked
        ((1, 3, 64, 256), True),  # every other block
        ((64, 128), True),  # patches, reshaped
        ((25, 256), True),
        ((32, 64, 256), False),  # a batch
        ((4, 64, 256), False),  # 4 does not divide the 6 blocks
        ((256, 256), False),
        ((8, 8), True),  # too small to matter
    ],
)
def test_only_parameters_are_gathered(dims, expected):
    one = Collective("all-gather", (hlo.Array("bf16", dims),), 4, ((0, 1, 2, 3),))
    other = Collective("all-reduce", (hlo.Array("bf16", (7777,)),), 4, ((0, 1, 2, 3),))
    bad = collectives.unexpected_gathers([one, other], PARAMETERS)
    assert (bad == []) is expected
