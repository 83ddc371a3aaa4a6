"""The transfer study: both starts are asked for the same; its numbers are what was played."""

from __future__ import annotations

import dataclasses
import json
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from nitrogen_jax.chain import transfer, transfer_results
from nitrogen_jax.chain.transfer import FAR, NEAR, PRETRAINED, SCRATCH, ZERO, Study
from nitrogen_jax.config import load
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import results, suite
from nitrogen_jax.report import transfer_page, transfer_plot

CONFIGS = Path(__file__).parents[2] / "configs" / "transfer"
STUDY = Study(
    played=("vizdoom/my-way-home",),
    near="vizdoom/defend-the-center",
    far="ale/breakout",
    minutes=(1.0, 5.0),
    seeds=(0, 3),
    episodes=12,
)


@pytest.fixture(autouse=True)
def in_checkout(monkeypatch):
    monkeypatch.chdir(CONFIGS.parents[1])  # the recipe's files are named from there


def stage(name, study=STUDY):
    return next(one for one in transfer.stages(study) if one.name == name)


# ---------------------------------------------------------------------------------------------
# Stages


@pytest.mark.parametrize("name", ["study.py", "short.py"])
def test_a_recipe_makes_stages_that_stand_in_order(name):
    study = load(CONFIGS / name).check()
    every = transfer.stages(study)
    seen = set()
    for one in every:
        assert set(one.reads) <= seen
        assert one.name not in seen
        seen.add(one.name)
        assert any(word.endswith(one.out) for word in one.argv)
    runs = len(study.minutes) * len(study.seeds) * 2 * 2
    assert sum(one.argv[0] == "train" for one in every) == runs + 1
    assert {f"eval-{name}" for name in transfer_results.evaluations(study)} <= seen


def test_both_starts_have_the_same_data_updates_seed_and_episodes():
    name = Study.run(NEAR, 5, PRETRAINED, 3)
    other = Study.run(NEAR, 5, SCRATCH, 3)
    for kind in ("train", "eval"):
        mine, theirs = stage(f"{kind}-{name}"), stage(f"{kind}-{other}")
        words = [word.replace(name, other) for word in mine.argv]
        different = set(words) ^ set(theirs.argv)
        if kind == "eval":
            assert not different
        else:
            configs = {f"configs/transfer/{one}.py" for one in ("finetune", "scratch")}
            assert different == configs | {"--start.checkpoint={room}/runs/pretrain"}
            assert "--seed=3" in words


def test_what_is_held_out_is_in_no_record_that_is_pre_trained_on():
    study = dataclasses.replace(STUDY, played=(*STUDY.played, STUDY.near))
    assert study.pretrain == STUDY.played
    words = stage("records-pretrain", study).argv
    assert words[-2:] == ("--holdout", STUDY.near)
    assert "--holdout" not in stage("records-pretrain").argv
    assert "--holdout" not in stage("records-near-5", study).argv


def test_a_shorter_study_asks_for_less_and_nothing_else():
    study = load(CONFIGS / "study.py")
    short = load(CONFIGS / "short.py")
    assert short.near == study.near
    assert short.far == study.far
    assert short.pretrain_steps < study.pretrain_steps
    kinds = [{one.argv[0] for one in transfer.stages(each)} for each in (study, short)]
    assert kinds[0] == kinds[1] == {"eval", "data", "train"}


def test_play_that_is_learned_from_is_never_played_in_the_evaluation():
    study = load(CONFIGS / "study.py")
    for task in (study.near, study.far):
        recorded, played = (
            {suite.seed_of(seed, task, number) for number in range(200)}
            for seed in (study.play_seed, study.eval_seed)
        )
        assert not recorded & played


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"near": "ale/breakout"}, "two tasks"),
        ({"near": "vizdoom/my-way-home"}, "at least one"),
        ({"counts": {"vizdoom/my-way-home": "kills"}}, "not held out"),
        ({"far": "ale/freeway"}, "no expert"),
        ({"far": "ale/nothing"}, "ale/nothing"),
        ({"minutes": ()}, "at least one"),
        ({"minutes": (1.0, 1.0)}, "twice"),
        ({"seeds": (2, 2)}, "twice"),
        ({"steps": 0}, "steps is 0"),
        ({"eval_seed": 1000}, "the same"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused_in_a_sentence(change, complaint):
    with pytest.raises(NitrogenError, match=complaint):
        dataclasses.replace(STUDY, **change).check()


# ---------------------------------------------------------------------------------------------
# Results


def played(task, episode, good, rng):
    """An episode that goes better the larger `good` is."""
    progress = min(1.0, rng.random() * good)
    outcome = "success" if progress > 0.5 else "failure"
    seed = suite.seed_of(STUDY.eval_seed, task, episode)
    told = {"task": task, "episode": episode, "seed": seed, "outcome": outcome}
    return results.Played(**told, progress=round(progress, 3))


def evaluate(room, name, tasks, good, episodes=STUDY.episodes, crash=None):
    """The folder of an evaluation."""
    folder = room / "evals" / name
    folder.mkdir(parents=True)
    rng = random.Random(name)
    every = [played(task, at, good, rng) for task in tasks for at in range(episodes)]
    if crash is not None:
        every[crash] = dataclasses.replace(every[crash], outcome="crash")
    chosen = suite.chosen(names=tasks)
    about = {
        "format": results.FORMAT,
        "policy": {"name": name},
        "tasks": list(tasks),
        "tags": {task.name: results.tags_of(task) for task in chosen},
        "skipped": {},
        "seed": STUDY.eval_seed,
        "episodes": episodes,
    }
    (folder / results.ABOUT).write_text(json.dumps(about))
    rows = [json.dumps(results.played_to(one)) for one in every]
    (folder / results.EPISODES).write_text("\n".join(rows) + "\n")
    return every


@pytest.fixture
def room(tmp_path):
    both = (STUDY.near, STUDY.far)
    for name, good in (("random", 0.3), ("expert", 2.0), (ZERO, 0.4)):
        evaluate(tmp_path, name, both, good)
    for seed in STUDY.seeds:
        for minutes in STUDY.minutes:
            for where in (NEAR, FAR):
                for start, good in ((PRETRAINED, 1.6), (SCRATCH, 1.6 if where == FAR else 0.6)):
                    name = Study.run(where, minutes, start, seed)
                    crash = 4 if name == "near-5-scratch-3" else None
                    evaluate(tmp_path, name, (STUDY.held_out(where),), good, crash=crash)
    return tmp_path


def test_cells_and_differences_are_those_of_the_episodes(room):
    found = transfer_results.collect(STUDY, room)
    assert found.missing == ()
    near = [results.read(room / "evals" / f"near-1-{PRETRAINED}-{seed}") for seed in STUDY.seeds]
    progress = [one.progress for each in near for one in each.episodes]
    cell = found.cell(NEAR, PRETRAINED, 1)
    assert cell.summary.judged == 24
    assert cell.summary.progress == pytest.approx(np.mean(progress))
    assert cell.progress_low < cell.summary.progress < cell.progress_high
    assert cell.category == "combat"
    scratch = found.cell(NEAR, SCRATCH, 1)
    made = found.of(NEAR, 1, "progress")
    assert made.pairs == 24
    assert made.a == pytest.approx(cell.summary.progress)
    assert made.difference == pytest.approx(cell.summary.progress - scratch.summary.progress)
    assert made.relative == pytest.approx(made.difference / scratch.summary.progress)
    assert made.low < made.difference < made.high


def test_an_episode_that_crashed_for_one_of_them_is_no_pair(room):
    found = transfer_results.collect(STUDY, room)
    assert found.of(NEAR, 5, "success").pairs == 23
    assert found.of(NEAR, None, "success").pairs == 47
    assert found.of("all", None, "success").pairs == 95


def test_a_category_is_made_of_its_own_tasks(room):
    found = transfer_results.collect(STUDY, room)
    groups = {one.group for one in found.compared}
    assert groups == {NEAR, FAR, "combat", "game-specific", "all"}
    for measure in ("success", "progress"):
        assert found.of("combat", 5, measure).a == found.of(NEAR, 5, measure).a
        assert found.of("game-specific", 5, measure).a == found.of(FAR, 5, measure).a


def concluded(found, where):
    """What is said of the progress at a place."""
    said = transfer_page.conclusions(found)
    return next(one for one in said if one.startswith(f"progress, {where}"))


def test_what_differs_is_said_and_what_does_not_is_not(room):
    found = transfer_results.collect(STUDY, room)
    said = transfer_page.conclusions(found)
    assert any(
        one.startswith("progress, near") and "pre-trained start is ahead" in one for one in said
    )
    far = found.of(FAR, None, "progress")
    assert far.low < 0 < far.high
    assert "no difference is shown" in concluded(found, FAR)
    swapped = dataclasses.replace(
        found,
        compared=tuple(
            dataclasses.replace(
                one,
                difference=dataclasses.replace(
                    one.difference,
                    difference=-one.difference.difference,
                    low=-one.difference.high,
                    high=-one.difference.low,
                ),
            )
            for one in found.compared
        ),
    )
    assert "the start from scratch is ahead" in concluded(swapped, NEAR)


def test_other_seeds_of_episodes_are_refused(room):
    name = Study.run(FAR, 1, SCRATCH, 0)
    path = room / "evals" / name / results.EPISODES
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | {"seed": row["seed"] + 1}) + "\n" for row in rows))
    with pytest.raises(NitrogenError, match="seed"):
        transfer_results.collect(STUDY, room)


def test_what_is_not_played_is_named_and_the_rest_is_shown(room, tmp_path):
    gone = room / "evals" / Study.run(FAR, 5, PRETRAINED, 0)
    gone.rename(tmp_path / "elsewhere")
    found = transfer_results.collect(STUDY, room)
    assert found.missing == (gone.name,)
    assert found.of(FAR, 5, "success").pairs == 12
    assert gone.name in transfer_page.markdown(found)
    nothing = transfer_results.collect(STUDY, tmp_path / "nowhere")
    assert set(nothing.missing) == set(transfer_results.evaluations(STUDY))
    assert nothing.compared == ()
    out = tmp_path / "report"
    transfer_page.write(nothing, out)
    ET.fromstring((out / "plot.svg").read_text())


def test_what_a_judge_counts_is_told_in_its_own_unit(room):
    for path in room.glob(f"evals/{FAR}-*/{results.EPISODES}"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        low = -7 if SCRATCH in path.parent.name else 2
        facts = [{"points": low + at % 3} for at in range(len(rows))]
        rows = [row | {"facts": fact} for row, fact in zip(rows, facts, strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("random", "expert", ZERO):
        path = room / "evals" / name / results.EPISODES
        rows = [json.loads(line) | {"facts": {"points": 1}} for line in path.open()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = transfer_results.collect(dataclasses.replace(STUDY, counts={STUDY.far: "points"}), room)
    made = found.of(FAR, 5, transfer_results.COUNT)
    assert (made.a, made.b, made.difference) == pytest.approx((3, -6, 9))
    assert found.of(NEAR, 5, transfer_results.COUNT) is None
    assert found.of("all", 5, transfer_results.COUNT) is None
    assert found.cell(FAR, "expert").count == 1
    assert found.cell(NEAR, "expert").count is None
    assert "| +9.0 (+9.0 to +9.0) |" in transfer_page.markdown(found)


# ---------------------------------------------------------------------------------------------
# Report


def test_the_files_hold_every_number_and_nothing_from_outside(room, tmp_path):
    found = transfer_results.collect(STUDY, room)
    page = transfer_page.write(found, tmp_path / "report")
    text = page.read_text()
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    told = json.loads((page.parent / "results.json").read_text())
    assert told["study"]["seeds"] == [0, 3]
    assert len(told["cells"]) == len(found.cells) == 2 * (3 + 2 * 2)
    markdown = (page.parent / "RESULTS.md").read_text()
    for one in found.cells:
        assert f"{one.summary.successes}/{one.summary.judged}" in markdown
        assert f"{one.summary.progress:.2f} (" in markdown
    widths = {line.count("|") for line in markdown.splitlines() if line.startswith("| near: ")}
    assert widths == {7}


def test_bars_are_as_high_as_what_they_show(room):
    found = transfer_results.collect(STUDY, room)
    root = ET.fromstring(transfer_plot.draw(found))
    space = "{http://www.w3.org/2000/svg}"
    bars = [one for one in root.iter(f"{space}rect") if one.find(f"{space}title") is not None]
    assert len(bars) == 2 * 2 * 2 * len(STUDY.minutes)
    heights = sorted(float(one.get("height")) / transfer_plot.HEIGHT for one in bars)
    values = sorted(
        value
        for one in found.cells
        if one.minutes
        for value in (one.summary.rate, one.summary.progress)
    )
    assert heights == pytest.approx(values, abs=1e-3)


def test_a_gain_is_relative_where_that_is_possible_and_starred_where_its_sign_is_sure():
    made = transfer_results.paired_bootstrap("", [1.0] * 20, [0.0, 1.0] * 10)
    assert transfer_plot.gain(made) == "+100%*"
    made = transfer_results.paired_bootstrap("", [1.0] * 20, [0.0] * 20)
    assert transfer_plot.gain(made) == "+100 points*"
    made = transfer_results.paired_bootstrap("", [1.0, 0.0] * 10, [0.0, 1.0] * 10)
    assert transfer_plot.gain(made) == "+0%"
    assert transfer_plot.gain(None) == ""
