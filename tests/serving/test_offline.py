"""Offline prediction: the same actions whatever the batch, the interruption and the devices."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess

import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.data.example import Example, PartlyRead, Problem, Source
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.action_metrics import action_metrics
from nitrogen_jax.models.presets import policy_preset

pa = pytest.importorskip("pyarrow")
pytest.importorskip("jax")
import pyarrow.parquet as pq  # noqa: E402

from nitrogen_jax.serving import offline  # noqa: E402
from nitrogen_jax.serving.offline import Settings  # noqa: E402
from nitrogen_jax.serving.parts import Parts, read_metadata  # noqa: E402
from nitrogen_jax.serving.sampler import Sampler, draw_noise  # noqa: E402
from nitrogen_jax.weights.checkpoint import Checkpoint  # noqa: E402
from nitrogen_jax.weights.policies import random_policy  # noqa: E402

CFG = dataclasses.replace(policy_preset("test"), euler_steps=4, games=3, context_length=5)
SIZE, STEPS = CFG.vision.image_size, CFG.horizon
LENGTHS = (5, 0, 1, 7)  # examples of each item; item 1 is broken
TOTAL = sum(LENGTHS)


def example(item, index):
    """Its pixels and its truth follow from its numbers; item 2 has no truth."""
    random = np.random.default_rng([item, index])
    pads = gamepad.Pad(random.random((STEPS, 21)) < 0.2, *random.uniform(-1, 1, (2, STEPS, 2)))
    known = {"true": gamepad.pack(pads), "valid": random.random(STEPS) < 0.7}
    return Example(
        source=f"video {item}",
        frame=3 * index,
        time=index / 10,
        frames=random.integers(0, 256, (CFG.frames, SIZE, SIZE, 3)).astype(np.uint8),
        dropped=np.zeros(CFG.frames, bool),
        **({} if item == 2 else known),
    )


def make_source():
    def read(item, first):
        for index in range(first, LENGTHS[item]):
            yield example(item, index)
        if item == 1:
            raise PartlyRead(Problem("video 1", 0, "it is broken"))

    names = tuple(f"video {item}" for item in range(len(LENGTHS)))
    return Source(names, read, {"made": LENGTHS}, TOTAL)


@pytest.fixture(scope="module")
def policy():
    return random_policy(CFG, seed=1)


@pytest.fixture(scope="module")
def sampler_of(policy):
    """A sampler for each batch size, compiled once."""
    made = {}

    def get(batch):
        if batch not in made:
            made[batch] = Sampler(policy.meta.config, policy.params, buckets=(batch,))
        return made[batch]

    return get


def to_file(sampler, path, settings, **options):
    parts = Parts(path, {"seed": settings.seed})
    assert parts.begin() is None
    return offline.predict_to_file(sampler, make_source(), settings, parts, {}, **options)


def actions_of(path):
    table = pq.read_table(path)
    return np.stack(table["actions"].to_numpy(zero_copy_only=False)).reshape(-1, STEPS, 25)


# ---------------------------------------------------------------------------------------------


def test_every_example_gets_the_actions_that_it_would_get_alone(sampler_of):
    settings = Settings(seed=7, batch=4, game=2)
    batches = list(offline.predict(sampler_of(4), make_source(), settings))
    assert [len(one.sources) for one in batches] == [4, 4, 4, 1]
    predicted = np.concatenate([one.actions for one in batches])
    assert sum((one.frames for one in batches), ()) == (0, 3, 6, 9, 12, 0, 0, 3, 6, 9, 12, 15, 18)
    examples = [example(i, j) for i, length in enumerate(LENGTHS) for j in range(length)]
    assert sum((one.sources for one in batches), ()) == tuple(one.source for one in examples)
    assert sum((one.times for one in batches), ()) == tuple(one.time for one in examples)
    alone = sampler_of(1)
    for row, one in enumerate(examples):
        noise = draw_noise(7, [row], (STEPS, 25))
        wanted = alone(one.frames[None], noise, None, np.array([2]))
        np.testing.assert_allclose(predicted[row], wanted[0], atol=1e-5)


def test_the_file(tmp_path, sampler_of):
    settings = Settings(batch=4)
    advanced = []
    metadata = to_file(sampler_of(4), tmp_path / "a.parquet", settings, advance=advanced.append)
    assert sum(advanced) == TOTAL
    assert metadata["examples"] == TOTAL
    assert metadata["problems"] == [{"source": "video 1", "read": 0, "reason": "it is broken"}]
    assert metadata["job"] == {"seed": 0}
    assert read_metadata(tmp_path / "a.parquet") == json.loads(json.dumps(metadata))
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.schema.remove_metadata() == offline.schema(STEPS)
    assert table["source"].to_pylist() == ["video 0"] * 5 + ["video 2"] + ["video 3"] * 7
    assert table["frame"].to_pylist() == [0, 3, 6, 9, 12, 0, 0, 3, 6, 9, 12, 15, 18]
    batches = offline.predict(sampler_of(4), make_source(), settings)
    wanted = np.concatenate([one.actions for one in batches])
    np.testing.assert_array_equal(actions_of(tmp_path / "a.parquet"), wanted)


def test_metrics_are_those_of_all_steps_at_once(tmp_path, sampler_of, monkeypatch):
    monkeypatch.setattr(offline, "PART_BATCHES", 2)
    metadata = to_file(sampler_of(4), tmp_path / "a.parquet", Settings(batch=4))
    known = [(i, j) for i, length in enumerate(LENGTHS) for j in range(length)]
    rows = [row for row, (item, _) in enumerate(known) if item != 2]
    examples = [example(*known[row]) for row in rows]
    wanted = action_metrics(
        gamepad.decode(actions_of(tmp_path / "a.parquet")[rows]),
        gamepad.decode(np.stack([one.true for one in examples])),
        np.stack([one.valid for one in examples]),
    )
    assert metadata["metrics"] == wanted
    assert wanted["steps"] > 0


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_size_changes_nothing(tmp_path, sampler_of, batch):
    to_file(sampler_of(4), tmp_path / "a.parquet", Settings(batch=4))
    to_file(sampler_of(batch), tmp_path / "b.parquet", Settings(batch=batch))
    one, other = (actions_of(tmp_path / f"{name}.parquet") for name in "ab")
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_interrupted_job_goes_on_and_makes_the_same_file(tmp_path, sampler_of, monkeypatch, at):
    monkeypatch.setattr(offline, "PART_BATCHES", 1)
    settings = Settings(batch=4)
    whole, broken = tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    metadata = to_file(sampler_of(4), whole, settings)

    class Interrupted(Parts):
        def add(self, number, table, note):
            if number == at:
                signal.raise_signal(signal.SIGINT)
            super().add(number, table, note)

    job = {"seed": 0}
    parts = Interrupted(broken, job)
    parts.begin()
    with pytest.raises(KeyboardInterrupt):
        offline.predict_to_file(sampler_of(4), make_source(), settings, parts, {})
    assert not broken.exists()
    assert len(parts.finished()) == at
    sampled = []

    def counting(*inputs):
        sampled.append(len(inputs[0]))
        return sampler_of(4)(*inputs)

    counting.cfg = CFG
    parts = Parts(broken, job)
    assert parts.begin() is None
    again = offline.predict_to_file(counting, make_source(), settings, parts, {})
    assert sum(sampled) == TOTAL - 4 * at
    assert again == metadata
    assert broken.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.parquet", "whole.parquet"]


def test_a_job_may_go_on_with_another_batch_size(tmp_path, sampler_of, monkeypatch):
    monkeypatch.setattr(offline, "PART_BATCHES", 1)
    to_file(sampler_of(4), tmp_path / "whole.parquet", Settings(batch=4))
    parts = Parts(tmp_path / "b.parquet", {})
    parts.begin()
    add = parts.add

    def failing(number, *rest):
        if number == 2:
            raise OSError("disk full")
        add(number, *rest)

    parts.add = failing
    with pytest.raises(OSError, match="disk full"):
        offline.predict_to_file(sampler_of(3), make_source(), Settings(batch=3), parts, {})
    parts.add = add
    offline.predict_to_file(sampler_of(4), make_source(), Settings(batch=4), parts, {})
    wanted, found = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "b"))
    for column in ("source", "frame", "time"):
        assert wanted[column].to_pylist() == found[column].to_pylist()
    np.testing.assert_allclose(
        actions_of(tmp_path / "whole.parquet"), actions_of(tmp_path / "b.parquet"), atol=1e-5
    )


def test_seed_and_game_matter(sampler_of):
    def run(settings):
        return next(offline.predict(sampler_of(4), make_source(), settings)).actions

    usual = run(Settings(batch=4))
    assert np.abs(run(Settings(batch=4, seed=1)) - usual).max() > 0.1
    assert np.abs(run(Settings(batch=4, game=1)) - usual).max() > 1e-4


def test_forbidden_buttons_are_never_pressed(sampler_of):
    def run(settings):
        return next(offline.predict(sampler_of(4), make_source(), settings))

    usual, masked = run(Settings(batch=4)), run(Settings(batch=4, forbidden=gamepad.NO_MENUS))
    columns = [gamepad.BUTTON_INDEX[name] for name in gamepad.NO_MENUS]
    assert (usual.actions[..., columns] > 0.5).any()
    assert not masked.actions[..., columns].any()
    others = np.setdiff1d(np.arange(25), columns)
    np.testing.assert_array_equal(usual.actions[..., others], masked.actions[..., others])
    assert any(masked.sums.true_positives) or any(masked.sums.false_positives)
    start = gamepad.BUTTON_INDEX["START"]
    assert masked.sums.false_positives[start] == masked.sums.true_positives[start] == 0


def test_old_layouts_leave_as_buttons_first(policy, sampler_of):
    old = dataclasses.replace(CFG, layout="sticks_first")
    sampler = Sampler(old, policy.params, buckets=(4,))
    settings = Settings(batch=4)
    found = next(offline.predict(sampler, make_source(), settings)).actions
    usual = next(offline.predict(sampler_of(4), make_source(), settings)).actions
    np.testing.assert_allclose(
        found, gamepad.convert_layout(usual, "sticks_first", "buttons_first"), atol=1e-5
    )


def test_a_policy_that_is_not_for_a_gamepad_is_refused(sampler_of):
    fake = lambda *inputs: None  # noqa: E731
    fake.cfg = dataclasses.replace(CFG, action_dim=21)
    with pytest.raises(NitrogenError, match="21 action dimensions"):
        next(offline.predict(fake, make_source(), Settings()))


def test_actions_that_are_not_finite_are_refused():
    def fake(frames, noise, *_):
        noise[1] = np.nan
        return noise

    fake.cfg = CFG
    with pytest.raises(NitrogenError, match="video 0, frame 3, are not finite"):
        next(offline.predict(fake, make_source(), Settings(batch=4)))


def test_an_unreadable_input_is_an_error_of_the_run(sampler_of):
    def read(item, first):
        yield example(0, 0)
        raise NitrogenError("picture x.png cannot be decoded")

    source = Source(("x",), read, {})
    with pytest.raises(NitrogenError, match=r"x\.png"):
        list(offline.predict(sampler_of(4), source, Settings(batch=4)))


def test_what_makes_another_job(policy):
    def job(checkpoint=policy, source=None, sampling=None, **settings):
        sampling = {"steps": 4, "guidance": None} | (sampling or {})
        source = source or make_source()
        return offline.describe_job(checkpoint, sampling, source, Settings(**settings))

    first = job()
    assert json.loads(json.dumps(first)) == first
    assert job(batch=99) == first  # the only setting that decides nothing
    other_params = {**policy.params, "position_embedding": policy.params["position_embedding"] + 1}
    other_cfg = dataclasses.replace(CFG, layout="sticks_first")
    others = [
        job(seed=1),
        job(game=1),
        job(forbidden=frozenset({"START"})),
        job(sampling={"steps": 5}),
        job(sampling={"guidance": 2.0}),
        job(source=dataclasses.replace(make_source(), identity={"made": 1})),
        job(Checkpoint(other_params, policy.meta)),
        job(Checkpoint(policy.params, dataclasses.replace(policy.meta, config=other_cfg))),
    ]
    assert all(other != first for other in others)
    assert len({json.dumps(other) for other in others}) == len(others)


PROGRAM = """
import os, signal, sys
import numpy as np
sys.path.insert(0, {folder!r})
import test_offline as here
from nitrogen_jax.serving import offline
from nitrogen_jax.serving.parts import Parts

offline.PART_BATCHES = 1
batch, kill_at, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
policy = here.random_policy(here.CFG, seed=1)
sampler = here.Sampler(here.CFG, policy.params, buckets=(batch,))

write = offline.pa.parquet.write_table
def write_table(table, path):
    write(table, path)
    if f"part-{{kill_at:06d}}" in str(path):  # complete, but not under its name yet
        os.kill(os.getpid(), signal.SIGKILL)
offline.pa.parquet.write_table = write_table

parts = Parts(out, {{"seed": 0}})
parts.begin()
offline.predict_to_file(sampler, here.make_source(), here.Settings(batch=batch), parts, {{}})
print(sampler.mesh.size, sampler.buckets)
"""


@pytest.fixture
def run_job(run_python, request):
    """Runs a job in a process of its own, which may kill itself while it writes a part."""

    def run(out, batch=4, kill_at=-1, **environment) -> subprocess.CompletedProcess:
        code = PROGRAM.format(folder=str(request.path.parent))
        return run_python("-c", code, str(batch), str(kill_at), str(out), **environment)

    return run


def test_a_killed_process_leaves_what_it_had_finished(tmp_path, run_job, sampler_of, monkeypatch):
    monkeypatch.setattr(offline, "PART_BATCHES", 1)
    killed = run_job(tmp_path / "killed.parquet", kill_at=2)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "killed.parquet").exists()
    names = sorted(path.name for path in (tmp_path / "killed.parquet.parts").glob("[!.]*"))
    assert names == ["job.json", "part-000000.parquet", "part-000001.parquet"]
    to_file(sampler_of(4), tmp_path / "killed.parquet", Settings(batch=4))
    to_file(sampler_of(4), tmp_path / "whole.parquet", Settings(batch=4))
    found, wanted = ((tmp_path / f"{name}.parquet").read_bytes() for name in ("killed", "whole"))
    assert found == wanted
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.long
def test_eight_devices_predict_what_one_does(tmp_path, run_job, sampler_of):
    flags = "--xla_force_host_platform_device_count=8"
    ran = run_job(tmp_path / "eight.parquet", batch=6, XLA_FLAGS=flags)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["8", "(8,)"]
    to_file(sampler_of(4), tmp_path / "one.parquet", Settings(batch=4))
    np.testing.assert_allclose(
        actions_of(tmp_path / "eight.parquet"), actions_of(tmp_path / "one.parquet"), atol=1e-5
    )
    one, eight = (read_metadata(tmp_path / f"{name}.parquet") for name in ("one", "eight"))
    assert one["metrics"]["steps"] == eight["metrics"]["steps"]
    assert one["problems"] == eight["problems"]
