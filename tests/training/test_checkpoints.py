"""Checkpoints of one process: what is kept, what is found again, and what may go wrong."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

pytest.importorskip("orbax.checkpoint")

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models import policy
from nitrogen_jax.models.presets import policy_preset
from nitrogen_jax.training import checkpoint_orbax, checkpoints
from nitrogen_jax.training.checkpoints import Checkpoints
from nitrogen_jax.weights import checkpoint as weights
from nitrogen_jax.weights import meta, policies, steps
from nitrogen_jax.weights.rules import flatten


class State(NamedTuple):
    step: jax.Array
    params: dict[str, Any]
    opt: Any
    frozen: dict[str, Any]


def items(step: int, width: int = 4) -> dict[str, Any]:
    """What a run saves, in small: the numbers say of which step it is."""
    kernel = np.random.default_rng(step).random((64, width), np.float32)
    params = {
        "dense": {"kernel": jnp.asarray(kernel), "bias": jnp.ones(3)},
        "half": jnp.full((2,), step + 0.5, jnp.bfloat16),
    }
    opt = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)).init(params)
    state = State(jnp.int32(step), params, opt, {})
    return {"params": jax.tree.map(lambda leaf: leaf + 1, params), "state": state}


def like(tree: Any) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree
    )


LIKE = like(items(0))


def same(found: Any, wanted: Any) -> bool:
    return jax.tree.structure(found) == jax.tree.structure(wanted) and all(
        one.dtype == other.dtype and np.array_equal(one, other)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
    )


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


def warnings(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """A folder with the whole checkpoints 10 and 20; not to be changed."""
    folder = tmp_path_factory.mktemp("two") / "checkpoints"
    with Checkpoints(folder) as keeper:
        for step in (10, 20):
            keeper.save(step, items(step), {"training": {"position": step}})
    return folder


@pytest.fixture
def copied(two, folder) -> Path:
    return shutil.copytree(two, folder)


# -- saved and found again


def test_what_is_saved_is_found_again(two):
    with Checkpoints(two) as keeper:
        restored = keeper.restore(LIKE)
        earlier = keeper.restore(LIKE, step=10)
    assert (restored.step, restored.metadata) == (20, {"training": {"position": 20}})
    assert same(restored.items, items(20))
    assert (earlier.step, earlier.metadata) == (10, {"training": {"position": 10}})
    assert same(earlier.items, items(10))


def test_items_that_are_not_asked_for_are_not_read(two):
    with Checkpoints(two) as keeper:
        assert same(keeper.restore({"params": LIKE["params"]}).items["params"], items(20)["params"])


def test_there_is_none(folder):
    with Checkpoints(folder) as keeper:
        assert keeper.restore(LIKE) is None
        assert keeper.steps() == []
        assert keeper.wait() is True
        with pytest.raises(NitrogenError, match="there is none of step 3"):
            keeper.restore(LIKE, step=3)
    assert not folder.exists(), "to look is not to write"


def test_it_is_written_in_the_background(folder, monkeypatch):
    """`save` returns before anything is finished, and the next one waits for it."""
    gate, seal = threading.Event(), steps.seal
    monkeypatch.setattr(steps, "seal", lambda path: (gate.wait(60), seal(path)))
    with Checkpoints(folder) as keeper:
        assert keeper.save(1, items(1), {}) is True
        assert keeper.steps() == []
        gate.set()
        assert keeper.save(2, items(2), {}) is True
        assert 1 in keeper.steps()
    assert Checkpoints(folder).steps() == [1, 2]


def test_arrays_may_be_donated_or_deleted_at_once(folder):
    spoil = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * 0 - 1, tree), donate_argnums=0)
    large = {"state": {"x": jnp.arange(1_000_000.0), "y": jnp.ones(3)}}
    want = jax.tree.map(np.array, large)
    with Checkpoints(folder) as keeper:
        keeper.save(1, large, {})
        after = spoil(spoil(spoil(large)))
        jax.tree.map(lambda leaf: leaf.delete(), large)
        restored = keeper.restore(like(after))
    assert same(restored.items, want)


def test_weights_of_a_run_are_a_checkpoint_like_any_other(tmp_path):
    """The item `params` and the metadata are what `load` reads, given the run's folder."""
    config = policy_preset("test")
    shapes, random = policy.shapes(config), np.random.default_rng(3)
    params = jax.tree.map(lambda leaf: jnp.asarray(random.random(leaf.shape, leaf.dtype)), shapes)
    note = {"nitrogen_jax": meta.to_json(meta.Meta(config, step=7)), "training": {"position": 1}}
    run = tmp_path / "run"
    with Checkpoints(run / "checkpoints") as keeper:
        keeper.save(7, {"params": params, "state": {"step": jnp.int32(7)}}, note)
    for found in (weights.load(run / "checkpoints" / "7"), policies.load_policy(str(run))):
        assert found.meta.config == config
        assert found.meta.step == 7
        wanted = flatten(params)
        assert flatten(found.params).keys() == wanted.keys()
        for name, leaf in flatten(found.params).items():
            assert np.array_equal(leaf, wanted[name]), name


# -- what stays


@pytest.mark.parametrize(
    ("keep", "keep_every", "left"),
    [(1, None, [6]), (2, None, [5, 6]), (9, None, [1, 2, 3, 4, 5, 6]), (1, 2, [2, 4, 6])],
)
def test_retention(keep, keep_every, left, folder):
    with Checkpoints(folder, keep=keep, keep_every=keep_every) as keeper:
        for step in range(1, 7):
            keeper.save(step, {"state": {"step": jnp.int32(step)}}, {})
    assert names(folder) == [str(step) for step in left]


def test_steps_are_ordered_as_numbers(folder):
    with Checkpoints(folder, keep=2) as keeper:
        for step in (8, 9, 10, 11):
            keeper.save(step, {"state": {"step": jnp.int32(step)}}, {})
        keeper.wait()
        assert keeper.steps() == [10, 11]
    (folder / "notes.txt").touch()
    (folder / "007").mkdir()
    assert Checkpoints(folder).steps() == [10, 11]


def test_a_step_is_written_once_by_a_run(folder):
    with Checkpoints(folder) as keeper:
        keeper.save(5, items(5), {"of": "the interval"})
        assert keeper.save(5, items(5), {"of": "the end"}, wait=True) is True
        assert keeper.restore(LIKE).metadata == {"of": "the interval"}


def test_another_run_replaces_a_step(copied):
    with Checkpoints(copied) as keeper:
        assert keeper.save(10, items(99), {"by": "another"}, wait=True) is True
        assert same(keeper.restore(LIKE, step=10).items, items(99))
    assert names(copied) == ["10", "20"]


def test_an_old_one_that_cannot_be_removed_is_a_warning(copied, caplog, monkeypatch):
    def fail(path: Path) -> None:
        raise OSError(16, "Device or resource busy")

    with Checkpoints(copied, keep=1) as keeper:
        monkeypatch.setattr(checkpoints.shutil, "rmtree", fail)
        assert keeper.save(30, items(30), {}, wait=True) is True
        monkeypatch.undo()
        assert keeper.failures == 0
        assert keeper.steps()[-1] == 30
        assert keeper.save(40, items(40), {}, wait=True) is True
    [warning] = warnings(caplog)
    assert f"old checkpoints stay in {copied}: Device or resource busy" in warning
    assert names(copied) == ["40"]


def test_threads_do_not_add_up(folder):
    with Checkpoints(folder, keep=1) as keeper:
        keeper.save(0, items(0), {}, wait=True)
        before = threading.active_count()
        for step in range(1, 5):
            keeper.save(step, items(step), {}, wait=True)
        assert threading.active_count() <= before + 1


# -- damage


def data(checkpoint: Path) -> Path:
    """The file with the largest arrays of the parameters."""
    return max(checkpoint.glob("params/**/d/*"), key=lambda path: path.stat().st_size)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated data": (lambda path: truncate(data(path)), "bytes, where"),
    "changed data": (lambda path: flip(data(path)), "has changed"),
    "no data": (lambda path: data(path).unlink(), "is missing"),
    "no manifest": (lambda path: (path / "params/manifest.ocdbt").unlink(), "manifest.ocdbt is mi"),
    "no item": (lambda path: shutil.rmtree(path / "state"), "state"),
    "no metadata": (lambda path: (path / "_CHECKPOINT_METADATA").unlink(), "_METADATA is missing"),
    "changed metadata": (lambda path: flip(path / "_CHECKPOINT_METADATA"), "has changed"),
    "no listing": (lambda path: (path / "files.json").unlink(), "No such file"),
    "broken listing": (lambda path: truncate(path / "files.json"), "is broken"),
    "other listing": (lambda path: (path / "files.json").write_text('{"files": []}'), "is broken"),
    "empty listing": (lambda path: (path / "files.json").write_text('{"files": {}}'), "is empty"),
    "empty folder": (lambda path: (shutil.rmtree(path), path.mkdir()), "No such file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over(damage, copied, caplog, capfd):
    harm, reason = DAMAGES[damage]
    harm(copied / "20")
    with Checkpoints(copied) as keeper:
        assert keeper.steps() == [10]
        restored = keeper.restore(LIKE)
        assert (restored.step, restored.metadata) == (10, {"training": {"position": 10}})
        assert same(restored.items, items(10))
        [warning] = warnings(caplog)
        assert f"{copied / '20'} is damaged and passed over: " in warning
        assert reason in warning
        assert (copied / "20").exists(), "reading removes nothing"
        # The run goes on from 10, and its next checkpoint takes the place of the damaged one.
        assert keeper.save(15, items(15), {}, wait=True)
        assert names(copied) == ["10", "15"]
    assert capfd.readouterr() == ("", "")


def test_the_damaged_step_is_reached_again(copied, caplog):
    truncate(data(copied / "20"))
    with Checkpoints(copied, keep=1) as keeper:
        assert keeper.restore(LIKE).step == 10
        assert keeper.save(20, items(21), {}, wait=True)
        assert same(keeper.restore(LIKE).items, items(21))
    assert names(copied) == ["20"]


@pytest.mark.parametrize("victim", ["arrays", "metadata"])
def test_damage_that_only_orbax_notices(victim, folder, caplog, capfd, monkeypatch):
    """Large files are known by their size alone."""
    monkeypatch.setattr(steps, "_SMALL", -1)
    with Checkpoints(folder) as keeper:
        for step in (10, 20):
            keeper.save(step, items(step, width=400), {}, wait=True)
        path = folder / "20" / "params" / "_METADATA"
        if victim == "arrays":
            path = data(folder / "20")
            assert path.stat().st_size > 50_000
        path.write_bytes(b"\xff" * path.stat().st_size)
        assert steps.damage(folder / "20") is None
        assert same(keeper.restore(like(items(0, width=400))).items, items(10, width=400))
    [warning] = warnings(caplog)
    assert f"its {victim} cannot be read: " in warning
    assert "\n" not in warning
    assert capfd.readouterr() == ("", "")


def test_all_are_damaged(copied, caplog):
    for step in ("10", "20"):
        (copied / step / "_CHECKPOINT_METADATA").unlink()
    with Checkpoints(copied) as keeper, pytest.raises(NitrogenError) as caught:
        keeper.restore(LIKE)
    assert str(copied) in str(caught.value)
    assert "of step 10, its file _CHECKPOINT_METADATA is missing; of step 20" in str(caught.value)
    assert len(warnings(caplog)) == 2


def test_a_named_step_that_is_damaged_is_an_error(copied):
    (copied / "20" / "_CHECKPOINT_METADATA").unlink()
    with Checkpoints(copied) as keeper:
        with pytest.raises(NitrogenError, match="of step 20, its file _CHECKPOINT_METADATA is mi"):
            keeper.restore(LIKE, step=20)
        assert keeper.restore(LIKE, step=10).step == 10


# -- another architecture


def test_every_difference_is_listed(two, caplog):
    wanted = items(0)
    params = wanted["params"]
    del params["dense"]["bias"]
    params["dense"]["kernel"] = jnp.zeros((64, 5))
    params["half"] = params["half"].astype(jnp.float32)
    params["new\x1b"] = {"scale": jnp.zeros(2)}
    opt = wanted["state"].opt
    wanted["state"] = wanted["state"]._replace(opt=(opt, jnp.zeros(())))
    wanted["more"] = {"x": jnp.zeros(1)}
    with Checkpoints(two) as keeper, pytest.raises(NitrogenError) as caught:
        keeper.restore(like(wanted))
    first, *lines = str(caught.value).splitlines()
    assert str(two / "20") in first
    lines = [line.strip() for line in lines]
    for line in (
        "extra: params/dense/bias (3,) float32",
        "mis-shaped: params/dense/kernel is (64, 4), needed (64, 5)",
        "mis-typed: params/half is bfloat16, needed float32",
        "missing: state/opt/1 () float32",
        "missing: state/opt/0/1/0/mu/dense/bias (3,) float32",
        "extra: state/opt/1/0/mu/dense/bias (3,) float32",
        "missing: more/x (1,) float32",
    ):
        assert line in lines
    assert not any("state/params" in line or "state/step" in line for line in lines)
    assert warnings(caplog) == [], "it is whole: the one before would fit no better"


# -- writing that fails


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A file system of 8 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def noise(step: int) -> dict[str, Any]:
    """3 MB that cannot be compressed."""
    numbers = np.random.default_rng(step).integers(0, 2**31, 750_000, np.int32)
    return {"state": {"noise": jnp.asarray(numbers)}}


@pytest.mark.parametrize("asks_first", [True, False])
def test_a_full_disk(asks_first, small_disk, caplog, capfd, monkeypatch):
    if not asks_first:  # as on a file system whose quota is less than its room
        usage = SimpleNamespace(total=10**12, free=10**12)
        monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda path: usage)
    folder, other = small_disk / "run" / "checkpoints", small_disk / "other"
    with Checkpoints(folder, keep=1) as keeper:
        assert keeper.save(1, noise(1), {}, wait=True)
        other.write_bytes(bytes(4_000_000))
        for step in (2, 3):
            assert keeper.save(step, noise(step), {}) is not asks_first
            assert keeper.wait() is asks_first
            assert names(folder) == ["1"]
        assert keeper.failures == 2
        assert same(keeper.restore(like(noise(0))).items, noise(1))
        first, _ = warnings(caplog)
        reason = "bytes are needed and" if asks_first else "No space left on device"
        assert "the checkpoint of step 2 could not be written" in first
        assert reason in first
        assert "\n" not in first
        other.unlink()
        assert keeper.save(4, noise(4), {}, wait=True)
        assert keeper.failures == 2
        assert same(keeper.restore(like(noise(0))).items, noise(4))
    assert names(folder) == ["4"]
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_turns_read_only(small_disk, caplog, capfd):
    def remount(mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", str(small_disk)], check=True)

    with Checkpoints(small_disk / "run") as keeper:
        assert keeper.save(1, items(1), {}, wait=True)
        remount("ro")
        assert keeper.save(2, items(2), {}) is False
        assert keeper.steps() == [1]
        remount("rw")
        assert keeper.save(3, items(3), {}, wait=True)
    assert Checkpoints(small_disk / "run").steps() == [1, 3]
    [warning] = warnings(caplog)
    assert "Read-only file system" in warning
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_cannot_be(tmp_path, caplog):
    (tmp_path / "file").touch()
    with Checkpoints(tmp_path / "file" / "checkpoints") as keeper:
        assert keeper.save(1, items(1), {}, wait=True) is False
        assert keeper.failures == 1
        assert keeper.restore(LIKE) is None
    assert "Not a directory" in warnings(caplog)[0]


@pytest.mark.parametrize("place", ["start", "seal", "name"])
def test_a_failure_anywhere_is_a_warning(place, copied, caplog, capfd, monkeypatch):
    """The good ones stay even if only one may, and the next save succeeds."""

    def fail(*arguments: Any) -> None:
        raise OSError(5, "Input/output error")

    with Checkpoints(copied, keep=1) as keeper:
        with monkeypatch.context() as patch:
            if place == "start":
                patch.setattr(checkpoint_orbax, "start", fail)
            elif place == "seal":
                patch.setattr(steps, "seal", fail)
            else:
                patch.setattr(Path, "replace", fail)
            assert keeper.save(30, items(30), {}) is True, "it shows later"
            keeper._pending[1].result(60)
        assert keeper.failures == 0
        assert names(copied) == ["10", "20"]
        assert keeper.save(40, items(40), {}, wait=True) is True
        assert keeper.failures == 1
    [warning] = warnings(caplog)
    assert "step 30 could not be written" in warning
    assert "Input/output error; the last one is of step 20" in warning
    assert names(copied) == ["40"]
    assert capfd.readouterr() == ("", "")


def test_a_failure_of_the_last_save_shows_at_the_end(folder, caplog, monkeypatch):
    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(steps, "seal", fail)
    with Checkpoints(folder) as keeper:
        keeper.save(1, items(1), {})
    assert keeper.failures == 1
    assert "the last one is of no step" in warnings(caplog)[0]


def test_an_item_is_a_tree(folder, caplog):
    with Checkpoints(folder) as keeper:
        keeper.save(1, {"state": jnp.ones(3)}, {}, wait=True)
    assert "an item of a checkpoint is a tree, and not an array alone" in warnings(caplog)[0]


def test_metadata_that_is_no_json_is_a_mistake_of_the_caller(folder):
    with Checkpoints(folder) as keeper, pytest.raises(TypeError, match="JSON"):
        keeper.save(1, items(1), {"x": object()})


# -- what others leave, and see


def test_only_a_run_that_saves_clears_up(copied):
    (copied / ".old-notes").touch()
    for name in (".tmp-30-1.orbax-checkpoint-tmp", ".tmp-5-removed"):
        (copied / name / "params").mkdir(parents=True)
    shutil.copytree(copied / "10", copied / ".old-10")  # of a replacement that went through
    before = names(copied)
    with Checkpoints(copied) as keeper:
        assert keeper.restore(LIKE).step == 20
        assert names(copied) == before
        assert keeper.save(30, items(30), {}, wait=True)
    assert names(copied) == [".old-notes", "10", "20", "30"]


def test_orbax_is_silent_only_meanwhile(folder, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("absl").warning("before")
    with Checkpoints(folder) as keeper:
        keeper.save(1, items(1), {}, wait=True)
        keeper.restore(LIKE)
        logging.getLogger("absl").warning("of others")
    from orbax.checkpoint import v1 as ocp

    ocp.save(folder.absolute() / "x", {"a": jnp.ones(1)})
    loud = [record for record in caplog.records if "orbax" in record.pathname]
    at = [record.getMessage() for record in caplog.records].index("of others")
    assert loud, "what is silenced must be there to begin with"
    assert all(caplog.records.index(record) > at for record in loud)


def test_the_listing_names_every_file(two):
    listed = json.loads((two / "20" / "files.json").read_text())["files"]
    present = {
        path.relative_to(two / "20").as_posix()
        for path in (two / "20").rglob("*")
        if path.is_file()
    }
    assert listed.keys() == present - {"files.json"}
    assert "_CHECKPOINT_METADATA" in listed
