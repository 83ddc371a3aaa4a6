"""`nitrogen train` as a person meets it: help, overrides, exit codes, one sentence per error."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("grain")
pytest.importorskip("pyarrow")
pytest.importorskip("orbax.checkpoint")
pytest.importorskip("tensorboardX")

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
import loop_child as runs
import record_sets

from nitrogen_jax.cli import main
from nitrogen_jax.data.control import Steps
from nitrogen_jax.training import run_folder


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return runs.config_file(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return runs.policy_file(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return record_sets.write_set(
        tmp_path_factory.mktemp("records") / "set", record_sets.RECORDINGS[:4]
    )


@pytest.fixture
def nitrogen(tmp_path, capsys):
    """Runs `nitrogen train --config FILE --out DIR ...`: exit code, output, complaints."""

    def run(file, *arguments, out=tmp_path / "run"):
        code = main(["train", "--config", str(file), "--out", str(out), *arguments])
        return code, *capsys.readouterr()

    return run


def refused(found, *told):
    """Exit code 2 and one sentence that says all of this."""
    code, out, error = found
    assert code == 2, error
    assert out == ""
    lines = [line for line in error.splitlines() if line]
    assert len(lines) == 1, error
    assert lines[0].startswith("nitrogen train: ")
    for words in told:
        assert words in lines[0]
    return lines[0]


# -- help


def test_help_has_examples_and_loads_nothing_heavy(run_python):
    code = (
        "import sys\n"
        "from nitrogen_jax.cli import main\n"
        "try:\n    main(['train', '--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'jax', 'jaxlib', 'numpy', 'flax', 'optax', 'orbax', 'grain', 'rich', 'cv2'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))\n"
    )
    found = run_python("-c", code)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == "loaded: []"
    assert "nitrogen train --config configs/nitrogen_tiny.py --out runs/tiny" in found.stdout
    for flag in ("--resume", "--profile", "--coordinator", "--process-id", "--a.b=value"):
        assert flag in found.stdout


def test_print_config(nitrogen, toy, tmp_path):
    code, out, error = nitrogen(toy, "--print-config", "--optimizer.rate=0.25", "--steps=7")
    assert (code, error) == (0, "")
    found = json.loads(out)
    assert (found["optimizer"]["rate"], found["steps"]) == (0.25, 7)
    assert found["task"]["kind"] == "ToyTask"
    assert not (tmp_path / "run").exists()


# -- a run


def test_a_toy(nitrogen, toy, tmp_path):
    code, out, error = nitrogen(toy, "--json", "--steps=8", "--optimizer.rate=0.02")
    assert code == 0, error
    told = json.loads(out)
    assert (told["state"], told["step"]) == ("finished", 8)
    assert told["metrics"]["train"]["loss"] == runs.losses(tmp_path / "run")[8]
    assert "step 8/8 (100.0%)" in error
    assert json.loads((tmp_path / "run/config.json").read_text())["optimizer"]["rate"] == 0.02
    code, out, error = nitrogen(toy, "--resume", "--steps=8", "--quiet")
    assert (code, out, error) == (0, "", "")  # the warning is on pytest's handler
    refused(nitrogen(toy, "--steps=8"), "run exists already: --resume takes it up")


def test_quiet(nitrogen, toy):
    assert nitrogen(toy, "--quiet", "--steps=7") == (0, "", "")


def test_a_trace(nitrogen, toy, tmp_path):
    code, *_ = nitrogen(toy, "--profile", "--steps=12", "--quiet")
    assert code == 0
    assert list((tmp_path / "run" / "profile").rglob("*.xplane.pb"))
    assert (12, "a trace of a few steps has been written") in runs.events(tmp_path / "run")


def test_stopped_ends_with_1(nitrogen, toy):
    code, out, error = nitrogen(toy, "--quiet", "--nonfinite=stop", "--data.nan_at=(3,)")
    assert (code, out) == (1, "")
    assert error.startswith("nitrogen train: step 4: the loss is nan")
    assert error.count("\n") == 1


@pytest.mark.long  # in short: tests/training/test_loop_resume.py, of the same name
def test_the_policy_on_records(nitrogen, policy, records, tmp_path, caplog):
    """With a held-out split elsewhere; then what was made is an ordinary checkpoint."""
    other = record_sets.write_set(tmp_path / "val", record_sets.RECORDINGS[4:6], split="val")
    held_out = json.dumps([{"folder": str(other), "split": "val"}])
    code, _, error = nitrogen(
        policy, f"--data.records={records}", f"--data.held_out={held_out}", "--quiet"
    )
    assert code == 0, error
    result = json.loads((tmp_path / "run" / run_folder.RESULT).read_text())
    found = result["metrics"]["validation"]
    assert found["samples"] == 16
    assert set(found) >= {"loss", "overall", "first", "games", "majority"}
    assert main(["info", str(tmp_path / "run" / "checkpoints" / "20")]) == 0
    # Another architecture, every array by its path.
    resume = [f"--data.records={records}", f"--data.held_out={held_out}", "--resume", "--steps=21"]
    code, _, error = nitrogen(policy, *resume, "--task.policy.dit.depth=2")
    assert code == 2
    assert "missing: params/dit/" in error
    assert "missing: state/params/dit/" in error
    assert "Traceback" not in error
    code, _, error = nitrogen(
        policy,
        f"--data.records={records}",
        f"--start.checkpoint={tmp_path / 'run'}",
        "--task.policy.dit.depth=2",
        out=tmp_path / "other",
    )
    assert code == 2
    assert "dit/" in error
    assert not list((tmp_path / "other").iterdir())


# -- what is refused


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--mesh.fsdp=3"], ["3", "1 device"]),
        (["--mesh.data=4"], ["mesh.data 4 x mesh.fsdp 1 is 4, and there are 1 devices"]),
        (["--batch=10", "--accumulate=4"], ["batch 10 is not a multiple of accumulate 4"]),
        (["--optimizer.raet=1"], ["there is no field 'raet'", "did you mean 'rate'?"]),
        (["--opimizer.rate=1"], ["there is no field 'opimizer'", "did you mean 'optimizer'?"]),
        (["--steps=many"], ["override '--steps=many' is 'many', where int is needed"]),
        (["--nonfinite=ignore"], ["nonfinite is 'ignore', where 'skip' or 'stop' is needed"]),
        (["--optimizer.warmup=99"], ["optimizer.warmup 99 and optimizer.decay 5 are more than"]),
        (["--freeze=everything"], ["everything"]),
        (["--validation.batch=0"], ["validation.batch is 0"]),
    ],
)
def test_values_that_make_no_sense(nitrogen, toy, tmp_path, arguments, told):
    refused(nitrogen(toy, *arguments), *told)
    assert not (tmp_path / "run").exists()


def test_words_that_are_no_overrides(nitrogen, toy, capsys):
    for word in ("--optimizer.rate", "rate=3", "--batch-size=3"):
        with pytest.raises(SystemExit) as end:
            nitrogen(toy, word)
        assert end.value.code == 2
        assert f"unrecognized arguments: {word}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no function config()"),
        ("def config():\n    return 3\n", "config() returned 3, not a dataclass"),
        (
            "from nitrogen_jax.training.train_config import Keep\n\nconfig = Keep\n",
            "its config() is a Keep, not a TrainConfig",
        ),
    ],
)
def test_config_files_that_return_something_else(nitrogen, tmp_path, text, told):
    path = tmp_path / "other.py"
    path.write_text(text)
    assert str(path) in refused(nitrogen(path), told)
    refused(nitrogen(tmp_path / "none.py"), "does not exist: give a file such as configs/tiny.py")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], ["data: no records are given: add --data.records=FOLDER"]),
        (["--data.records=/nowhere"], ["/nowhere is not a folder of records"]),
        (["--data.records={}", "--task.policy.horizon=5"], ["horizon 6 where 5", "--name NAME"]),
        (["--data.records={}", "--task.policy.action_shift=2"], ["shift 1 where 2", "--shift 2"]),
        (["--data.records={}", "--task.control_rate=10"], ["is needed", "--control-rate 10"]),
        (["--data.records={}", "--data.split=test"], ["have no split 'test': they have train"]),
        (["--data.records={}", "--data.index=x"], ["does not exist: nitrogen data index"]),
        (["--data.records={}", "--data.game_weights={'chess': 1}"], ["chess"]),
    ],
)
def test_records_that_do_not_fit(nitrogen, policy, records, tmp_path, arguments, told):
    arguments = [word.replace("{}", str(records)) for word in arguments]
    refused(nitrogen(policy, *arguments), *told)
    assert not (tmp_path / "run").exists()


def test_pictures_of_another_size(nitrogen, policy, tmp_path):
    large = record_sets.write_set(
        tmp_path / "large", record_sets.RECORDINGS[:1], size=64, files=1, steps=Steps(horizon=6)
    )
    found = nitrogen(policy, f"--data.records={large}", "--data.validation=None")
    refused(found, "large are 64 pixels high, where size is 32")


def test_an_output_that_cannot_be(nitrogen, toy, tmp_path):
    path = tmp_path / "file"
    path.touch()
    refused(nitrogen(toy, out=path), "is a file, where a folder for the run is needed")
