"""The folder of an evaluation: what is written comes back, damage is found or mended."""

from __future__ import annotations

import contextlib
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import results, tasks
from nitrogen_jax.evaluation.results import ABOUT, EPISODES, Played
from nitrogen_jax.evaluation.results_write import Writer
from nitrogen_jax.evaluation.rollout import OUTCOMES

TAG = {"goal": "g", "category": "combat", "dimensions": 3, "procedural": False, "seconds": 9.0}


def about(**changes):
    return {
        "policy": {"name": "idle", "kind": "baseline", "identity": "idle"},
        "suite": "default",
        "tasks": ["a/x"],
        "tags": {"a/x": TAG, "b/y": TAG},
        "skipped": {},
        "episodes": 2,
        "seed": 0,
        "play": {},
        "created": "then",
        "command": "nitrogen eval idle",
        "machine": {},
        "versions": {},
    } | changes


def played(episode, task="a/x", **more):
    return Played(task=task, episode=episode, seed=5, outcome="success", progress=1.0, **more)


plain = st.floats(0, 1e6)
facts = st.dictionaries(st.text(max_size=8), st.one_of(plain, st.text(max_size=8)), max_size=3)
episodes = st.builds(
    Played,
    task=st.text(min_size=1, max_size=20),
    episode=st.integers(0, 99),
    seed=st.integers(0, 2**31 - 1),
    outcome=st.sampled_from(OUTCOMES),
    progress=st.floats(0, 1),
    facts=facts,
    steps=st.integers(0, 10**6),
    frame_skip=st.integers(1, 60),
    seconds=plain,
    wall=plain,
    why=st.text(max_size=40),
    frames_hash=st.text("0123456789abcdef", max_size=64),
    actions=st.none() | st.just("actions/a__x-0.npz"),
    clip=st.none() | st.just("clips/a__x-0.mp4"),
)


@given(episodes)
def test_every_episode_comes_back(one):
    line = json.dumps(results.played_to(one), allow_nan=False)
    assert "\n" not in line
    assert results.played_from(json.loads(line)) == one


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(episodes, st.data())
def test_foreign_lines_are_read_or_refused(one, data):
    given_ = results.played_to(one)
    name = data.draw(st.sampled_from([*given_, "more"]))
    given_[name] = data.draw(json_values)
    # Nothing but our own error may come of them.
    with contextlib.suppress(NitrogenError):
        read = results.played_from(given_)
        assert 0 <= read.progress <= 1
        assert read.outcome in OUTCOMES
        assert all(path is None or ".." not in path for path in (read.actions, read.clip))


def test_a_path_that_leaves_the_folder_is_refused():
    for path in ("/etc/passwd", "../x", "clips/../../x", "", 3, "a\0b"):
        with pytest.raises(NitrogenError, match="a path inside"):
            results.played_from(results.played_to(played(0)) | {"clip": path})


def test_write_and_read(tmp_path):
    out = tmp_path / "deep" / "out"
    with Writer(out, about()) as writer:
        writer.add(played(1, facts={"kills": 2}))
        writer.add(played(0, clip="clips/a__x-0.mp4"))
        with pytest.raises(NitrogenError, match="is there already"):
            writer.add(played(1))
        writer.skip("b/y", "not installed")
    read = results.read(out)
    assert [one.episode for one in read.episodes] == [0, 1]
    assert read.episodes[1].facts == {"kills": 2}
    assert read.about["skipped"] == {"b/y": "not installed"}
    assert read.missing == []
    assert read.file(read.episodes[0].clip) is None
    (out / "clips" / "a__x-0.mp4").write_bytes(b"x")
    assert read.file(read.episodes[0].clip) == out / "clips" / "a__x-0.mp4"
    assert read.file(None) is None


def test_every_cut_of_the_file_can_be_gone_on_with(tmp_path):
    with Writer(tmp_path, about()) as writer:
        writer.add(played(0))
        first = (tmp_path / EPISODES).read_bytes()
        writer.add(played(1))
    whole = (tmp_path / EPISODES).read_bytes()
    for size in {*range(0, len(whole), 17), len(first) - 1, len(first), len(whole) - 1}:
        (tmp_path / EPISODES).write_bytes(whole[:size])
        wanted = [0] if size >= len(first) else []
        assert [one.episode for one in results.read(tmp_path).episodes] == wanted
        with Writer(tmp_path, about()) as writer:
            assert [episode for _, episode in writer.played] == wanted
            for episode in {0, 1} - set(wanted):
                writer.add(played(episode))
        assert (tmp_path / EPISODES).read_bytes() == whole


def test_half_files_of_a_run_that_was_killed_are_cleared_away(tmp_path):
    Writer(tmp_path, about()).close()
    half, whole = tmp_path / "actions" / ".a__x-0.tmp-77.npz", tmp_path / "actions" / "a__x-1.npz"
    for path in (half, whole):
        path.write_bytes(b"x")
    Writer(tmp_path, about()).close()
    assert not half.exists()
    assert whole.exists()


def test_zeros_after_a_loss_of_power_are_dropped(tmp_path):
    with Writer(tmp_path, about()) as writer:
        writer.add(played(0))
    whole = (tmp_path / EPISODES).read_bytes()
    (tmp_path / EPISODES).write_bytes(whole + b"\0" * 40 + b"\n")
    with Writer(tmp_path, about()) as writer:
        writer.add(played(1))
    assert len(results.read(tmp_path).episodes) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{}", "line 1: it has no task"),
        (b"[1]", "line 1: it is no JSON object"),
        (b'{"task": NaN}', "line 1: NaN is no number"),
        (b"\xff", "line 1"),
        (None, "line 2: episode 0 of a/x is there twice"),
    ],
)
def test_a_damaged_line_in_the_middle_is_named(tmp_path, line, words):
    with Writer(tmp_path, about()) as writer:
        writer.add(played(0))
    good = (tmp_path / EPISODES).read_bytes()
    (tmp_path / EPISODES).write_bytes((good if line is None else line + b"\n") + good + good)
    with pytest.raises(NitrogenError, match=words):
        results.read(tmp_path)
    with pytest.raises(NitrogenError, match=words):
        Writer(tmp_path, about())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy": {"name": "random", "identity": "random"}}, "holds episodes of idle"),
        ({"policy": {"name": "idle", "identity": "else"}}, "has changed since"),
        ({"seed": 1}, "begun with --seed 0, and 1 is given"),
        ({"play": {"execute": 3}}, "begun with --execute None, and 3 is given"),
    ],
)
def test_other_runs_are_refused(tmp_path, changes, words):
    Writer(tmp_path, about()).close()
    before = (tmp_path / ABOUT).read_bytes()
    with pytest.raises(NitrogenError, match=words):
        Writer(tmp_path, about(**changes))
    assert (tmp_path / ABOUT).read_bytes() == before


def test_tasks_and_episodes_may_be_added(tmp_path):
    with Writer(tmp_path, about(skipped={"a/x": "not installed"})) as writer:
        assert writer.about["skipped"] == {"a/x": "not installed"}
    Writer(tmp_path, about(tasks=["b/y"], episodes=5, suite=None)).close()
    read = results.read(tmp_path)
    assert read.about["tasks"] == ["a/x", "b/y"]
    assert read.about["suite"] is None
    # What could not be played then, and was not asked for now, is still skipped.
    assert read.missing == [("b/y", episode) for episode in range(5)]
    Writer(tmp_path, about(episodes=1)).close()
    assert len(results.read(tmp_path).missing) == 10


def test_two_runs_at_once_are_refused(tmp_path):
    with Writer(tmp_path, about()), pytest.raises(NitrogenError, match="another run writes"):
        Writer(tmp_path, about())
    Writer(tmp_path, about()).close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot read"),
        ("{", "is not JSON"),
        ("[]", "not of the format"),
        ('{"format": "nitrogen eval 2"}', "not of the format"),
        (json.dumps({"format": "nitrogen eval 1"}), "policy is not a dict"),
        (json.dumps({"format": "nitrogen eval 1", **about(tags={})}), "tags of task 'a/x'"),
        (json.dumps({"format": "nitrogen eval 1", **about(tasks=[[]])}), r"tags of task \[\]"),
    ],
)
def test_what_is_no_evaluation(tmp_path, text, words):
    if text is not None:
        (tmp_path / ABOUT).write_text(text)
    with pytest.raises(NitrogenError, match=words):
        results.read(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NitrogenError, match="cannot write"):
        Writer(tmp_path / "file" / "out", about())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_said(tmp_path):
    with Writer(tmp_path, about()) as writer, open("/dev/full", "ab", buffering=0) as full:
        mine, writer._file = writer._file, full
        with pytest.raises(NitrogenError, match="No space left"):
            writer.add(played(0))
        writer._file = mine
        assert not writer.played


def test_the_tags_of_all_tasks_are_complete(tmp_path):
    known = tasks.every()
    tags = {name: results.tags_of(task) for name, task in known.items()}
    Writer(tmp_path, about(tasks=list(known), tags=tags)).close()
    assert results.read(tmp_path).tags == json.loads(json.dumps(tags))
