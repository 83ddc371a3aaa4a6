"""Two real processes over loopback that train as one: signals, saves, resumes, errors."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("grain")
pytest.importorskip("orbax.checkpoint")
pytest.importorskip("tensorboardX")

sys.path.insert(0, str(Path(__file__).parent))
import loop_child as runs
from loop_child import ToyTask, config

from nitrogen_jax.training import loop

SAME = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.fixture(scope="module")
def warm(quick):
    with runs.Warm() as warm:
        yield warm


@pytest.fixture(scope="module")
def relay(warm, tmp_path_factory):
    """A run that goes from two processes to one and to two again; and what each pair said."""
    root = tmp_path_factory.mktemp("relay")
    folder = root / "run"
    # Without noise: what is drawn for a row does not depend on which process has the row.
    argv = ["train", "--config", runs.config_file(root), "--out", folder, "--task.noise=0.0"]
    argv.append("--json")
    both = warm.pair(*argv, "--data.signal_at=6", "--data.only=1")
    after_two = sorted(path.name for path in (folder / "checkpoints").iterdir())
    made = config(task=ToyTask(), data=runs.SignalData(signal_at=11, signal=signal.SIGINT))
    alone = loop.train(made, folder, resume=True, view=False)
    again = warm.pair(*argv, "--resume")
    return folder, both, after_two, alone, again


def test_a_signal_to_one_stops_both(relay):
    folder, both, after_two, *_ = relay
    for code, _, error in both:
        assert code == 0, error
    told = json.loads(both[0][1].splitlines()[-1])
    assert (told["state"], told["step"]) == ("stopped", 8)
    assert after_two == ["6", "8"]
    assert (8, "stopped, as asked to") in runs.events(folder)


def test_only_the_first_process_speaks(relay):
    _, both, _, _, again = relay
    for first, second in (both, again):
        assert second[1:] == ("", "")
        assert "loss" in first[2]
        assert "Traceback" not in first[2]
    assert json.loads(again[0][1].splitlines()[-1])["state"] == "finished"


def test_the_run_is_that_of_one_process(relay, tmp_path):
    folder, _, _, alone, again = relay
    assert (alone.state, alone.step, alone.interrupted) == ("stopped", 12, True)
    assert [code for code, *_ in again] == [0, 0]
    made = config(task=ToyTask())
    loop.train(made, tmp_path, view=False)
    found, wanted = runs.losses(folder), runs.losses(tmp_path)
    assert list(found) == list(range(1, 21))
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), **SAME)
    right = runs.arrays(made, tmp_path, 20)
    for name, array in runs.arrays(made, folder, 20).items():
        np.testing.assert_allclose(array, right[name], **SAME, err_msg=name)
    where = [text for _, text in runs.events(folder) if text == "resumed"]
    assert len(where) == 2


def test_both_refuse_what_is_no_good(warm, tmp_path):
    """Both end at once, with the sentence that one alone would end with."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    argv = ["train", "--config", runs.config_file(tmp_path), "--out", tmp_path / "run"]
    for code, out, error in warm.pair(*argv, timeout=100):
        assert code == 2, error
        assert error.endswith("exists already: --resume takes it up, another --out begins anew")
        assert "Traceback" not in error
        assert out == ""


def test_both_stop_where_the_loss_is_not_finite(warm, tmp_path):
    argv = ["train", "--config", runs.config_file(tmp_path), "--out", tmp_path / "run"]
    argv += ["--quiet", "--nonfinite=stop", "--data.nan_at=(2,)"]
    for code, out, error in warm.pair(*argv, timeout=100):
        assert code == 1, error
        assert "step 3: the loss is nan" in error
        assert "Traceback" not in error
        assert out == ""


@pytest.mark.parametrize("only", [pytest.param(0, marks=pytest.mark.long), 1])
def test_an_error_of_one_ends_the_other(only, warm, tmp_path):
    """The one that is well does not wait forever for the sums of the one that is not."""
    argv = ["train", "--config", runs.config_file(tmp_path), "--out", tmp_path / "run"]
    argv += ["--quiet", "--data.signal=0", "--data.signal_at=5", f"--data.only={only}"]
    ended = warm.pair(*argv, timeout=200)
    assert all(code not in (0, None) for code, *_ in ended)
    assert "the data has gone" in ended[only][2]
