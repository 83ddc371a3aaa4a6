"""The stages of the quick start: what they are asked, what is missing, how they are told."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shlex

import pytest

from nitrogen_jax import cli, extras
from nitrogen_jax.chain import labels_study, quickstart, quickstart_results, stages
from nitrogen_jax.chain.quickstart import Plan
from nitrogen_jax.commands import eval_run, nested
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.sim import catalogue

CHAINS = {"quickstart": quickstart.stages, "study labels": labels_study.chain}


@pytest.mark.parametrize("chain", CHAINS)
def test_every_stage_is_a_command_that_exists(chain, tmp_path):
    """Its words are parsed by the verb's own parser."""
    for stage in CHAINS[chain](Plan()):
        verb, *words = stage.words(tmp_path)
        parser, module = cli.verb_parser(verb)
        args = nested.parse(parser, module, words)
        parts = getattr(module, "PARTS", {})
        what = getattr(args, "what", None) or getattr(args, "policy", None)
        if what in parts:
            own, part = nested.module_parser(f"{verb}_{what}", f"nitrogen {verb} {what}")
            nested.parse(own, part, args.rest)
        elif parts:
            own = argparse.ArgumentParser()
            eval_run.add_arguments(own)
            own.parse_args(args.rest)
        assert shlex.split(stage.command(tmp_path)) == ["nitrogen", verb, *words]


@pytest.mark.parametrize("chain", CHAINS)
def test_stages_read_what_others_make(chain):
    """All that is named of the room is made by a stage that is read, or by one that that reads."""
    made: dict[str, str] = {}
    reads: dict[str, set[str]] = {}
    for stage in CHAINS[chain](Plan()):
        reads[stage.name] = {one for name in stage.reads for one in (name, *reads[name])}
        for word in stage.argv:
            found = re.search(r"\{room\}/([\w-]+(/\w+)?)", word)
            if found is None or found[1] == stage.out:
                continue
            folder = found[1] if found[1] in made else found[1].partition("/")[0]
            assert made[folder] in reads[stage.name], (stage.name, word)
        made[stage.out] = stage.name


def test_the_short_form_is_the_same_in_the_small():
    short, full = (quickstart.stages(plan) for plan in (quickstart.SHORT, Plan()))
    assert [one.name for one in short] == [one.name for one in full]
    assert [one.out for one in short] == [one.out for one in full]
    assert all(len(one.argv) == len(other.argv) for one, other in zip(short, full, strict=True))
    assert sum(one.seconds for one in short) < sum(one.seconds for one in full) / 3


def test_a_study_goes_on_with_a_quick_start():
    own = {stage.name: stage for stage in labels_study.chain(Plan())}
    for stage in quickstart.stages(Plan())[:-1]:
        # How far a training is, is a function of its own.
        assert dataclasses.replace(own[stage.name], share=None) == dataclasses.replace(
            stage, share=None
        )
    prints = stages.fingerprints(labels_study.chain(Plan()))
    for name, one in stages.fingerprints(quickstart.stages(Plan())).items():
        assert prints.get(name, one) == one


def test_the_evaluation_has_seeds_that_were_not_recorded():
    from nitrogen_jax.evaluation import suite

    stage = {one.name: one for one in quickstart.stages(Plan())}
    seeds = {}
    for name in ("record", "eval-policy", "eval-random"):
        argv = stage[name].argv
        seed = int(argv[argv.index("--seed") + 1])
        seeds[name] = {suite.seed_of(seed, quickstart.TASK, number) for number in range(100)}
    assert seeds["eval-policy"] == seeds["eval-random"]
    assert not seeds["record"] & seeds["eval-policy"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"steps": 1}, "steps is 1, where at least 10"),
        ({"minutes": 0.01}, "minutes is 0.01"),
        ({"execute": 5}, "execute is 5, where a chunk has 4"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_plans_that_cannot_be(given, says):
    with pytest.raises(NitrogenError, match=says):
        Plan(**given)


def quick(*words, capsys) -> tuple[int, str, str]:
    code = cli.main(["quickstart", *map(str, words)])
    return (code, *capsys.readouterr())


def test_without_the_game(tmp_path, capsys, monkeypatch):
    """One line, which says what to run; nothing is begun."""
    monkeypatch.setattr(
        catalogue.get("vizdoom").__class__,
        "missing",
        lambda self: f"{self.title} is not installed: {self.install}",
    )
    code, out, err = quick("--out", tmp_path / "room", capsys=capsys)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "ViZDoom is not installed: pip install 'nitrogen_jax[games]'" in err
    assert "./launch/quickstart.sh installs all that it needs" in err
    assert not (tmp_path / "room").exists()


@pytest.mark.needs("vizdoom")
def test_without_jax(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "jax", {"no_such_module": "no-such-module"})
    code, _, err = quick("--out", tmp_path / "room", capsys=capsys)
    assert code == 2
    assert "needs no_such_module, which is not installed: pip install 'nitrogen_jax[jax]'" in err
    assert not (tmp_path / "room").exists()


@pytest.mark.needs("vizdoom")
def test_bad_words(tmp_path, capsys):
    for words, says in (
        (("--only", "nothing"), "there is no stage 'nothing': record, label,"),
        (("--report",), "is no quick start"),
        (("--task", "vizdoom/take"), "perhaps vizdoom/take-cover"),
        (("--task", "ale/freeway"), "there is no expert for task ale/freeway"),
        (("--steps", "3"), "steps is 3"),
    ):
        code, _, err = quick(*words, "--out", tmp_path / "room", capsys=capsys)
        assert code == 2, words
        assert says in err


def test_the_list_needs_nothing(tmp_path, capsys):
    code, out, _ = quick("--list", "--out", tmp_path / "a room", capsys=capsys)
    assert code == 0
    lines = [line for line in out.splitlines() if not line.startswith("#")]
    expected = [one.command(tmp_path / "a room") for one in quickstart.stages(Plan())]
    assert lines == expected
    assert list(tmp_path.iterdir()) == []


def test_plans_are_kept(tmp_path):
    plan = Plan(minutes=1.5, seed=4)
    quickstart_results.write_plan(plan, tmp_path / "room")
    assert quickstart_results.read_plan(tmp_path / "room") == plan
    (tmp_path / "room" / quickstart_results.PLAN).write_text(json.dumps({"pigs": 3}))
    with pytest.raises(NitrogenError, match="cannot be read"):
        quickstart_results.read_plan(tmp_path / "room")


def test_how_far_a_training_is(tmp_path):
    share = quickstart.training_share("run", 200)
    assert share(tmp_path) is None
    (tmp_path / "run").mkdir()
    log = tmp_path / "run" / "log.jsonl"
    lines = [json.dumps({"kind": "train", "step": step, "loss": 1.0}) for step in range(0, 101, 5)]
    log.write_text("\n".join(lines) + '\n{"kind": "tr')
    assert share(tmp_path) == 0.5


# With None in the place of a module it is not found.
BARE = """
import sys
from nitrogen_jax import cli, extras
sys.modules.update({module: None for extra in extras.EXTRAS.values() for module in extra})
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("verb", [["quickstart"], ["study", "labels"]])
def test_without_any_extra_it_says_what_to_run(verb, tmp_path, run_python):
    """Only what every installation has may be imported before that is found out."""
    done = run_python("-c", BARE, *verb, "--out", str(tmp_path / "room"))
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "./launch/quickstart.sh" in done.stderr
    assert not (tmp_path / "room").exists()
    listed = run_python("-c", BARE, *verb, "--list", "--out", str(tmp_path / "room"))
    assert listed.returncode == 0, listed.stderr
