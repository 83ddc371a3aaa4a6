"""`nitrogen bench train`: ways are measured by the real step, and memory of one ends no other."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

jax = pytest.importorskip("jax")
pytest.importorskip("optax")

from nitrogen_jax.cli import main  # noqa: E402

for room in ("training", "data"):
    sys.path.insert(0, str(Path(__file__).parents[1] / room))
toys = pytest.importorskip("toys")

from nitrogen_jax.bench import train, train_report  # noqa: E402
from nitrogen_jax.commands import bench_train  # noqa: E402
from nitrogen_jax.training.train_config import MeshShape  # noqa: E402

TOY = f"""
import sys
from dataclasses import dataclass
sys.path.insert(0, {str(Path(__file__).parents[1] / "training")!r})
from nitrogen_jax.training.train_config import Optimizer
import toys

@dataclass(frozen=True)
class Data(toys.ToyData):
    records: str = ""

def config():
    return toys.toy_config(data=Data(), optimizer=Optimizer(warmup=0))
"""
POLICY = """
import dataclasses
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training.policy_task import PolicyTask
from nitrogen_jax.training.records_data import RecordsData
from nitrogen_jax.training.train_config import Optimizer, TrainConfig

def config():
    small = policy_preset("test")
    small = dataclasses.replace(
        small,
        vision=dataclasses.replace(small.vision, depth=1, name="small"),
        mixer=dataclasses.replace(small.mixer, dropout=0.0, final_dropout=False),
        dit=dataclasses.replace(small.dit, depth=1, dropout=0.0, final_dropout=False),
        horizon=6,
    )
    data = RecordsData(records="nowhere", validation=None)
    return TrainConfig(PolicyTask(small), data, steps=10, batch=8, optimizer=Optimizer(warmup=0))
"""


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    return ["bench", "train", "--config", str(tmp_path / "toy.py")]


@pytest.fixture
def policy(tmp_path):
    (tmp_path / "policy.py").write_text(POLICY)
    return ["bench", "train", "--config", str(tmp_path / "policy.py")]


@pytest.fixture
def known_rate(monkeypatch):
    """The matmul rate without the seconds that measuring it takes."""
    monkeypatch.setattr(train_report.timing, "matmul_tflops", lambda dtype: 1.0)


def test_every_way_is_measured(toy, tmp_path, capsys):
    out = tmp_path / "out.json"
    options = ["--batches", "16,32,16", "--records", "there", "--data.seconds=0.02"]
    sizes = ["--steps", "4", "--turns", "3", "--json", "--out", str(out)]
    assert main([*toy, *options, *sizes]) == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == found
    assert found["values"]["data"]["records"] == "there"
    ways = [(one["batch"], one["data"]) for one in found["results"]]
    assert ways == [(16, "random"), (16, "records"), (32, "random"), (32, "records")]
    by_hand = toys.ToyTask().flops()
    for one in found["results"]:
        assert one["state"] == "measured"
        assert one["mesh"] == [1, 1]
        assert len(one["rates"]) == 3
        assert one["samples_per_s"] == sorted(one["rates"])[1]
        assert one["slowest"] == min(one["rates"])
        assert one["step_ms"] == pytest.approx(np.median(one["steps_ms"]))
        assert len(one["steps_ms"]) == 12
        for turn, rate in enumerate(one["rates"]):
            seconds = sum(one["steps_ms"][4 * turn : 4 * turn + 4]) / 1e3
            assert rate == pytest.approx(4 * one["batch"] / seconds)
        assert one["flops_by_hand"] == by_hand * one["batch"]
        share = one["samples_per_s"] * by_hand / found["matmul_flops"]
        assert one["of_matmul"] == pytest.approx(share)
        assert min(one["peak_mib"], one["compile_s"]) > 0
        assert one["host_memory_mib"] > 10
        assert one["of_chip"] is one["device_peak_mib"] is None  # a CPU
        if one["data"] == "records":
            assert one["step_ms"] > 20
            assert 0.5 < one["data_wait"] <= 1
        else:
            assert one["data_wait"] is None
    pairs = [(named(ratio["way"]), named(ratio["to"])) for ratio in found["ratios"]]
    first = (16, "random")
    assert pairs == [*((way, first) for way in ways[1:]), ((32, "records"), (32, "random"))]
    rates = {named(one): one["rates"] for one in found["results"]}
    for ratio in found["ratios"]:
        each = np.divide(rates[named(ratio["way"])], rates[named(ratio["to"])])
        assert ratio["ratio"] == pytest.approx(np.median(each))


def named(one) -> tuple[int, str]:
    return one["batch"], one["data"]


def test_a_table_is_printed(toy, known_rate, capsys):
    assert main([*toy, "--steps", "2", "--turns", "1", "--task.width=32"]) == 0
    printed = capsys.readouterr().out
    for word in ("samples/s", "random", "1x1", "float32, accumulate 1", "TFLOP/s"):
        assert word in printed
    assert not {"records", "target"} & set(printed.split())


@functools.cache
def compiled_toy(batch: int = 16, accumulate: int = 1) -> train.Program:
    config = toys.toy_config(batch=batch, accumulate=accumulate, optimizer=_optimizer())
    return train.compile_step(config)


def program(**changes) -> train.Program:
    """The toy's, with other values of what the program does not depend on."""
    made = compiled_toy()
    config = dataclasses.replace(made.built.config, **changes)
    return dataclasses.replace(made, built=dataclasses.replace(made.built, config=config))


def _optimizer():
    return dataclasses.replace(toys.toy_config().optimizer, warmup=0)


def full(*_):
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate")


def test_a_way_without_memory_ends_no_other(known_rate):
    fits = program()
    ways = [
        train.Way(fits, "random"),
        train.Way(dataclasses.replace(fits, compiled=full), "records"),
        train.Way(dataclasses.replace(fits, compiled=None), "random"),
        train.Way(fits, "records"),
    ]
    ticks = []
    train.measure(ways, 2, 2, lambda: ticks.append(1))
    assert [way.state for way in ways] == ["measured", *["out of memory"] * 2, "measured"]
    assert [len(way.turns) for way in ways] == [2, 0, 0, 2]
    assert len(ticks) == 4 * 2 * (2 + train.WARM)
    machine = train_report.about(fits.built.config)
    found = [train_report.summary(way, machine) for way in ways]
    assert found[1]["samples_per_s"] is found[2]["step_ms"] is None
    assert [ratio["way"]["data"] for ratio in train_report.ratios(found)] == ["records"]
    json.dumps(found)


def test_a_way_that_fails_later_counts_no_turn():
    fits, calls = program(), []

    def once(*given):
        calls.append(1)
        return full() if len(calls) > train.WARM + 2 else fits.compiled(*given)

    ways = [train.Way(dataclasses.replace(fits, compiled=once), "random")]
    ways.append(train.Way(fits, "random"))
    train.measure(ways, 2, 2)
    assert (ways[0].state, ways[0].turns) == ("out of memory", [])
    assert len(ways[1].turns) == 2


def test_another_error_is_told():
    def broken(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    way = train.Way(dataclasses.replace(program(), compiled=broken), "random")
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        train.measure([way], 1, 1)


def test_memory_for_no_way_is_exit_code_1(toy, known_rate, capsys, monkeypatch):
    monkeypatch.setattr(jax.stages.Lowered, "compile", full)
    assert main([*toy, "--batches", "16,32"]) == 1
    assert capsys.readouterr().out.count("out of memory") == 2


def test_the_steps_are_those_of_training():
    from nitrogen_jax.training.loop import to_devices

    done = program(data=toys.ToyData())
    built = done.built
    batches = [built.config.data.at(n, 16, 0) for n in range(train.WARM + 3)]
    turn, state = train.run_steps(done, train._Held().take(built), iter(batches), 3)
    assert len(turn.step_ms) == 3
    other = built.make_state(*built.init(jax.random.key(0)))
    stop = jax.device_put(np.zeros(1, np.int32), built.stop.sharding)
    for batch in batches:
        other, _ = built.step(other, to_devices(built, batch), stop)
    for one, two in zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(one, two)
    assert int(state.step) == train.WARM + 3


def test_each_turn_reads_anew_and_closes(monkeypatch):
    opened = []

    @dataclasses.dataclass(frozen=True)
    class Data(toys.ToyData):
        def open(self, task, batch, *, seed, **more):
            opened.append((seed, super().open(task, batch, seed=seed, **more)))
            return opened[-1][1]

    train.measure([train.Way(program(data=Data(), seed=5), "records")], 2, 3)
    assert [seed for seed, _ in opened] == [5, 6, 7]
    assert all(source.closed and source.position == 2 + train.WARM for _, source in opened)


def test_records_of_which_nothing_can_be_read(toy, known_rate, capsys):
    options = ["--steps", "2", "--turns", "1", "--data.records=x", "--data.invalid_at=(4,)"]
    assert main([*toy, *options]) == 2
    assert "no sample of a batch is valid" in capsys.readouterr().err


def test_the_compiler_counts_loops_in_full():
    # The batch is large, so that products are nearly all there is.
    whole, parts = (compiled_toy(2048, count) for count in (1, 4))
    assert 0.7 < whole.flops / whole.built.flops < 1.3
    assert parts.flops == pytest.approx(whole.flops, rel=0.1)
    once = train.compiling.describe_compiled(parts.compiled)["flops"]
    assert once < 0.5 * parts.flops

    class Hidden:
        """What it is on a GPU: products are calls of a library."""

        def __getattr__(self, name):
            return getattr(parts.compiled, name)

        def as_text(self):
            return "HloModule nothing"

    hidden = train.compiler_flops(parts.built, parts.built.lower(), Hidden())
    assert hidden == pytest.approx(parts.flops, rel=0.1)


def test_a_random_batch_is_noise_of_which_all_counts():
    built = program().built
    batch = train.random_batch(built)
    assert {name: (one.shape, one.dtype) for name, one in batch.items()} == {
        name: (one.shape, one.dtype) for name, one in built.batch.items()
    }
    assert bool(batch["valid"].all())
    assert len(np.unique(batch["x"])) == batch["x"].size


@pytest.mark.parametrize(
    ("kind", "chip"),
    [
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA H200", "H200 SXM"),
        ("NVIDIA A100-SXM4-40GB", "A100 SXM 80GB"),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", None),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("TPU v5 lite", "TPU v5e"),
        ("TPU v5", "TPU v5p"),
        ("TPU v6 lite", "TPU v6e"),
        ("cpu", None),
    ],
)
def test_the_data_sheet_of_a_device(kind, chip):
    found = train_report.chip_of(kind)
    assert (found and found.name) == chip


def test_an_accelerator_is_held_against_the_targets():
    program_ = program()
    memory = {"host_memory_mib": 1.0}
    turn = train.Turn((10.0, 10.0), 1600.0, None, memory)
    ways = [
        train.Way(program_, "random", [turn]),
        train.Way(program_, "records", [dataclasses.replace(turn, rate=800.0, data_wait=0.015)]),
    ]
    rate = program_.built.flops / 16 * 1600
    machine = {"matmul_flops": 2 * rate, "chip_flops": 4 * rate, "accelerator": True}
    results = [train_report.summary(way, machine) for way in ways]
    data = {**machine, "results": results, "ratios": train_report.ratios(results)}
    assert results[0]["of_chip"] == 0.25
    assert bench_train._lines(data) == [
        "batch 16, mesh 1x1, records batches: 0.500 x the samples/s of batch 16, mesh 1x1, "
        "random batches",
        "best: batch 16, mesh 1x1, random batches: 1,600 samples/s, 50.0% of the measured matmul "
        "rate (target 45%)",
        "data wait: 1.50% of the step at batch 16, mesh 1x1, records batches (target below 2%)",
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--batches", "16,x"], "--batches is '16,x', where numbers such as"),
        (["--batches", "0"], "--batches is '0'"),
        (["--batches", "15", "--accumulate=2"], "batch 15 is not a multiple of accumulate 2"),
        (["--mesh", "1"], "--mesh is '1', where pairs such as '1,8;2,4' are needed"),
        (["--mesh", "1,64"], "mesh.data 1 x mesh.fsdp 64 is 64, and there are"),
        (["--steps", "0"], "--steps is 0, where at least 1 is needed"),
        (["--turns", "-1"], "--turns is -1"),
        (["--out", "/nowhere/at/all.json"], "the folder /nowhere/at does not exist"),
        (["--task.widht=3"], "did you mean 'width'"),
    ],
)
def test_options_that_make_no_sense(toy, capsys, options, problem):
    assert main([*toy, *options]) == 2
    told = capsys.readouterr()
    assert problem in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--records", "/nowhere/at"], "/nowhere/at"),
        (["--task.dtype=int4"], "task.dtype is 'int4'"),
        (["--task.draws_per_frame=0"], "task.draws_per_frame is 0"),
    ],
)
def test_a_policy_or_records_that_make_no_sense(policy, capsys, options, problem):
    pytest.importorskip("grain")
    assert main([*policy, *options]) == 2
    told = capsys.readouterr()
    assert problem in told.err
    assert told.err.count("\n") == 1


def test_meshes_are_measured_in_turn(toy, run_python):
    """On eight devices, in a process of its own."""
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    options = ["--mesh", "1,8;2,4;1,8", "--steps", "2", "--turns", "2", "--json"]
    done = run_python("-m", "nitrogen_jax.cli", *toy, *options, XLA_FLAGS=flags)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["mesh"] for one in found["results"]] == [[1, 8], [2, 4]]
    assert all(one["state"] == "measured" and len(one["rates"]) == 2 for one in found["results"])


def test_a_config_for_every_batch_and_mesh():
    made = train.configs(toys.toy_config(optimizer=_optimizer()), [16, 64], [(1, 1)])
    assert [(one.batch, one.mesh) for one in made] == [(n, MeshShape(1, 1)) for n in (16, 64)]
    (own,) = train.configs(toys.toy_config(optimizer=_optimizer()), [], [])
    assert own == toys.toy_config(optimizer=_optimizer())


@pytest.mark.long
def test_the_policy_with_real_records(policy, tmp_path, capsys):
    pytest.importorskip("grain")
    import record_sets

    record_sets.write_set(tmp_path / "records")
    options = ["--records", str(tmp_path / "records"), "--steps", "3", "--turns", "2", "--json"]
    assert main([*policy, *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["data"] for one in found["results"]] == ["random", "records"]
    assert (found["draws_per_frame"], found["remat"]) == (1, False)
    for one in found["results"]:
        assert one["samples_per_s"] > 0
        assert one["flops_compiler"] > 0.5 * one["flops_by_hand"]
