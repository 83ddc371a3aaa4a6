"""The suite as a whole: what is in it, and that every task can be proved."""

from __future__ import annotations

from collections import Counter

from nitrogen_jax.evaluation import proof, tasks
from nitrogen_jax.evaluation.task import CATEGORIES
from nitrogen_jax.sim import actions, catalogue

TASKS = tasks.every()


def test_it_is_as_large_and_as_mixed_as_it_is_said_to_be():
    assert len(TASKS) >= 30
    assert len({task.game for task in TASKS.values()}) >= 10
    kinds = Counter(task.category for task in TASKS.values())
    assert all(kinds[name] >= 8 for name in CATEGORIES)
    assert {task.dimensions for task in TASKS.values()} == {2, 3}
    assert {task.procedural for task in TASKS.values()} == {True, False}


def test_every_task_tells_what_is_to_be_done():
    goals = [task.goal for task in TASKS.values()]
    assert len(set(goals)) == len(goals)
    assert all(goal.endswith(".") and len(goal) < 120 for goal in goals)


def test_every_task_has_a_proof_that_fits_into_its_time():
    for task in TASKS.values():
        if task.scripted:
            assert task.expert is not None, f"{task.name} has nobody who plays it"
            continue
        assert proof.path(task).is_file(), f"{task.name} has no proof"
        pads = actions.read(proof.path(task))
        fps = float(task.options.get("fps", catalogue.get(task.game).fps))
        frames = (pads.shape[0] - 1) * task.frame_skip  # before the last pad
        assert frames < task.seconds * fps, task.name


def test_no_proof_is_left_over():
    wanted = {proof.path(task).name for task in TASKS.values() if not task.scripted}
    there = {path.name for path in proof.FOLDER.glob("*.npz")}
    assert there == wanted
