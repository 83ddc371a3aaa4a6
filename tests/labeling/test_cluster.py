"""Labelling by a Ray cluster of two machines, both of which are this one; one goes away."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

if importlib.util.find_spec("ray") is None:  # not loaded: `cluster.load` sets things up before
    pytest.skip("needs ray, which is not installed", allow_module_level=True)
pytest.importorskip("pyarrow")
pytest.importorskip("av")
sys.path.insert(0, str(Path(__file__).parent))

import standin

from nitrogen_jax.data import label_check, label_tree
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling import cluster, label_log, pipeline, work
from nitrogen_jax.labeling.skins.library import Library

ROOT = Path(__file__).parents[2]
NAMES = ("a", "b", "c-no_overlay", "d", "e-varies", "f")


@pytest.fixture(scope="module")
def machines():
    """A head without cores, to which tests add machines."""
    with pytest.MonkeyPatch.context() as patch:
        # The processes of a machine find this package and the stand-in as all machines would.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))
        cluster.load()
        from ray.cluster_utils import Cluster

        made = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "include_dashboard": False,
                # A machine counts as lost within seconds.
                "_system_config": {
                    "health_check_initial_delay_ms": 1000,
                    "health_check_period_ms": 500,
                    "health_check_timeout_ms": 3000,
                    "health_check_failure_threshold": 2,
                },
            },
        )
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in NAMES:
        standin.write_video(folder / f"{name}.mp4", 2.0, size=(64, 48))
    return folder


@pytest.fixture(scope="module")
def at_home(videos, tmp_path_factory) -> dict[str, bytes]:
    """The same without a cluster."""

    def in_process(jobs, advance):
        for job in jobs:
            yield job, work.label_one(job, Library(()), standin.label)

    tree = tmp_path_factory.mktemp("home") / "tree"
    label(sorted(videos.glob("*.mp4")), tree, in_process)
    return files(tree)


def label(paths, tree: Path, runner) -> dict:
    return pipeline.label_videos(pipeline.Plan(paths), tree, runner)


def by_ray(address: str, **more):
    given = {"library": Library(()), "labeller": standin.label, **more}
    return functools.partial(cluster.run, address=address, **given)


def files(tree: Path) -> dict[str, bytes]:
    found = sorted(path for path in (tree / "actions").rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): path.read_bytes() for path in found}


def lines(tree: Path) -> list[dict]:
    return [json.loads(line) for line in (tree / label_log.LOG).read_text().splitlines()]


def test_two_machines_of_which_one_goes_away_make_the_same_tree(
    machines, videos, at_home, tmp_path, capfd
):
    """A video waits; its machine is killed; the video is done again by the other one."""
    held = tmp_path / "d-waits.mp4"
    held.write_bytes((videos / "d.mp4").read_bytes())
    hold, at = held.with_suffix(".hold"), held.with_suffix(".at")
    hold.touch()
    added = [machines.add_node(num_cpus=1) for _ in range(2)]
    lost, pids = [], {node: raylets(node) for node in added}

    def kill_its_machine() -> None:
        try:
            wait_for(lambda: at.exists() and at.read_text().endswith("\n"))
            parent = int(at.read_text())
            lost.extend(node for node in added if parent in pids[node])
            machines.remove_node(lost[0], allow_graceful=False)
            wait_for(lambda: at.read_text().count("\n") == 2)
        finally:
            hold.unlink()

    killer = threading.Thread(target=kill_its_machine)
    killer.start()
    tree = tmp_path / "tree"
    report = label([held, *sorted(videos.glob("*.mp4"))], tree, by_ray(machines.address))
    killer.join()
    assert capfd.readouterr().out == ""  # Ray would tell of the machine here
    assert len(lost) == 1
    parents = [int(word) for word in at.read_text().split()]
    assert len(parents) == 2
    assert {node for node in added for parent in parents if parent in pids[node]} == set(added)
    assert report["videos"]["done"] == len(NAMES)
    assert report["failed"] == {"no_overlay": 1}
    others = {name: data for name, data in files(tree).items() if "d-waits" not in name}
    assert others == at_home
    assert sorted(line["video_id"] for line in lines(tree)) == sorted([*NAMES, "d-waits"])
    assert list(label_check.check_tree(label_tree.open_tree(tree))) == []
    assert list((tree / label_log.STATE / "work").iterdir()) == []


def raylets(node) -> list[int]:
    """The process that starts the workers of a machine."""
    return [one.process.pid for one in node.all_processes["raylet"]]


def test_a_video_that_kills_its_worker_costs_itself(machines, videos, tmp_path):
    dies = tmp_path / "dies.mp4"
    dies.write_bytes((videos / "a.mp4").read_bytes())
    report = label([dies, videos / "a.mp4"], tmp_path / "tree", by_ray(machines.address))
    assert report["videos"]["done"] == 1
    (problem,) = report["problems"]
    assert (problem["video_id"], problem["cause"]) == ("dies", "error")
    assert problem["message"].endswith("was killed, perhaps for want of memory")


def test_what_is_wrong_with_a_machine_blames_no_video(machines, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "__version__", "0.0.0")
    with pytest.raises(NitrogenError, match=r"and the driver 0\.0\.0, where all need the same"):
        label([videos / "a.mp4"], tmp_path / "tree", by_ray(machines.address))
    assert lines(tmp_path / "tree") == []


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("nonsense", "--cluster is 'nonsense', where host:port"),
        ("ray://127.0.0.1", "--cluster is 'ray://127.0.0.1', where host:port"),
        ("127.0.0.1:{free}", "there is no Ray cluster at '127.0.0.1:{free}': Connection refused"),
    ],
)
def test_no_cluster_is_one_sentence(videos, tmp_path, address, complaint):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        free = one.getsockname()[1]
    with pytest.raises(NitrogenError) as caught:
        label([videos / "a.mp4"], tmp_path / "tree", by_ray(address.format(free=free)))
    assert str(caught.value).startswith(complaint.format(free=free))


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)
