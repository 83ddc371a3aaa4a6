"""Every file of configs/: it loads, it makes sense, and its docstring says how to start it."""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from nitrogen_jax import cli
from nitrogen_jax.config import load, override, to_dict
from nitrogen_jax.training.train_config import TrainConfig
from nitrogen_jax.weights.rules import flatten

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "configs").rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
RUNS = [name for name in NAMES if isinstance(load(ROOT / name), TrainConfig)]
ABLATIONS = [name for name in RUNS if name.startswith("configs/ablations/")]
PRETRAIN = "configs/nitrogen_500m_pretrain.py"
BASELINE = "configs/ablations/baseline.py"


def docstring(name: str) -> str:
    return ast.get_docstring(ast.parse((ROOT / name).read_text()), clean=False)


def commands(name: str) -> list[list[str]]:
    """The command lines of a docstring, as words; what is indented is one."""
    text = re.sub(r"\\\n\s*", " ", docstring(name))
    return [shlex.split(line) for line in text.splitlines() if re.match(r" {4}\S", line)]


def fields(name: str) -> dict[str, object]:
    return flatten(to_dict(load(ROOT / name)))


def differences(name: str, other: str) -> set[str]:
    one, two = fields(name), fields(other)
    return {
        key.replace("/", ".") for key in one.keys() | two.keys() if one.get(key) != two.get(key)
    }


def test_what_is_promised_is_there():
    names = {Path(name).stem for name in RUNS}
    assert {f"nitrogen_500m_{kind}" for kind in ("pretrain", "finetune", "scratch")} <= names
    assert {"frames_2", "frames_4", "chunk_1", "chunk_8", "euler_steps", "all_samples"} <= names
    assert {"time_uniform", "vision_random", "draws_8", "baseline"} <= names


@pytest.mark.parametrize("name", NAMES)
def test_a_config_makes_sense(name):
    config = load(ROOT / name)
    assert dataclasses.is_dataclass(config)
    config.check()
    if isinstance(config, TrainConfig):
        config.task.check()


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_starts_its_own_file(name):
    own = [words for words in commands(name) if any(name in word for word in words)]
    assert own, f"no command of the docstring names {name}"


@pytest.mark.parametrize("name", RUNS)
def test_a_docstring_says_what_to_expect(name):
    own = [words for words in commands(name) if words[:2] == ["nitrogen", "train"]]
    assert any(words[words.index("--config") + 1] == name for words in own)
    assert re.search(r"\b(Expected|Measured)\b", docstring(name))


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_docstrings_are_right(name):
    for words in commands(name):
        if words[0] == "nitrogen":
            assert words[1] in {*cli.VERBS, "train", "plan"}
        else:
            program = words[1] if words[0] in ("bash", "python") else words[0]
            assert (ROOT / program).is_file(), program
        for word in words:
            if word.startswith("configs/"):
                assert (ROOT / word).is_file(), word
        if words[:2] == ["nitrogen", "train"]:
            given = load(ROOT / words[words.index("--config") + 1])
            known = ("--config", "--out", "--resume")
            override(given, [w for w in words if w.startswith("--") and w not in known])


@pytest.mark.parametrize("name", sorted(set(ABLATIONS) - {BASELINE}))
def test_an_ablation_changes_what_it_names_and_nothing_else(name):
    changed = differences(name, BASELINE)
    expected = {
        "frames": {"task.policy.frames", "task.policy.context_length"},
        "chunk": {"task.policy.horizon", "data.index"},
        "all": {"data.index", "data.held_out"},
        "time": {"task.policy.time_alpha", "task.policy.time_beta"},
        "draws": {"task.draws_per_frame"},
        "euler": {"task.euler_steps", "steps", "start.checkpoint", "start.vision"}
        | {"optimizer.rate", "optimizer.warmup", "optimizer.decay"}
        | {"validation.every", "validation.batches"},
    }
    whole = {"vision_random": {"start.vision", "freeze"}, "vision_frozen": {"freeze"}}
    stem = Path(name).stem
    assert changed == whole.get(stem) or changed == expected[stem.partition("_")[0]]


def test_the_baseline_is_pretraining_in_the_small():
    changed = differences(BASELINE, PRETRAIN)
    assert changed == {
        "steps",
        "batch",
        "optimizer.decay",
        "optimizer.ema",
        "validation.every",
    }


def test_scratch_and_finetuning_differ_in_the_start_alone():
    scratch, finetune = (f"configs/nitrogen_500m_{kind}.py" for kind in ("scratch", "finetune"))
    assert {key.split(".")[0] for key in differences(scratch, finetune)} == {"start"}


def test_pretraining_is_what_was_published():
    config = load(ROOT / PRETRAIN)
    policy, optimizer = config.task.policy, config.optimizer
    assert config.batch == 4096
    assert config.freeze == "original"
    assert (optimizer.rate, optimizer.weight_decay, optimizer.ema) == (1e-4, 1e-3, 0.9999)
    assert (policy.frames, policy.horizon, policy.action_shift, policy.euler_steps) == (
        1,
        18,
        3,
        16,
    )
    assert (policy.time_alpha, policy.time_beta, policy.time_scale) == (1.6, 0.8, 0.999)


def test_the_study_compares_fine_tuning_and_scratch_by_the_start_alone():
    pretrain, finetune, scratch = (
        f"configs/transfer/{name}.py" for name in ("pretrain", "finetune", "scratch")
    )
    assert {key.split(".")[0] for key in differences(scratch, finetune)} == {"start"}
    changed = {"steps", "optimizer.warmup", "optimizer.decay"}
    assert differences(scratch, pretrain) == changed
