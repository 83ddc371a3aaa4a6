"""Benchmarks run: what is done again and what is not, and what a clip's result holds."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from nitrogen_jax import gamepad
from nitrogen_jax.data import video
from nitrogen_jax.data.label_tables import LabelError
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.labeling.accuracy import each, plans, run
from nitrogen_jax.labeling.options import LabelOptions
from nitrogen_jax.labeling.result import Segment, VideoFailure, VideoLabels
from nitrogen_jax.labeling.skins.library import Library
from nitrogen_jax.labeling.skins.skin import States
from nitrogen_jax.labeling.synth import clips
from nitrogen_jax.labeling.synth.clips import Recipe
from nitrogen_jax.labeling.synth.traces import smooth

_path = Path(__file__).parents[1] / "skins" / "presets.py"
_spec = importlib.util.spec_from_file_location("presets", _path)
presets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(presets)

LIBRARY = Library((presets.pad(), presets.pad(moved=9.0).renamed("moved")))
TRACES = [smooth(np.random.default_rng(7), 6)]


class Blocks:
    """Footage that is quick to make."""

    def frames(self, size, rate, seed):
        low = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
        while True:
            yield cv2.resize(low, size)


class Oracle:
    """Labels videos without looking: it knows what is in them, and counts how often it is asked."""

    def __init__(self):
        self.cases, self.asked, self.pictures = {}, [], {}

    def __call__(self, path, library, ways):
        options = ways[0]
        case = self.cases[path.stem]
        self.asked.append(path.stem)
        self.pictures[path.stem] = next(iter(video.frames(path, 1))).picture()
        if case.skin is None or case.skin.name not in {one.name for one in library.skins}:
            raise VideoFailure("no_overlay", f"{path} shows none")
        did, _ = clips.truth(case.plan, case.skin, case.trace)
        sure = np.linspace(0, 1, did.number, dtype=np.float32)
        plan = case.plan
        box = plan.at.box(case.skin)
        segment = Segment(0, did.number, case.skin.name, plan.at, box, plan.opacity, 0.9)
        labels = VideoLabels(
            did.number,
            plan.rate,
            plan.times,
            plan.size[::-1],
            (segment,),
            did,
            sure,
            sure >= options.keep_confidence,
            ("odd",),
            {"locate": 1.0, "read": 0.5},
        )
        return [labels] * len(ways)


@pytest.fixture
def oracle(monkeypatch):
    """Small clips, and labels that are the truth."""
    monkeypatch.setattr(clips, "STREAMS", (((320, 180), 15.0, 400_000),))
    monkeypatch.setattr(run, "MadeUp", Blocks)
    it = Oracle()
    monkeypatch.setattr(run, "label_ways", it)
    return it


def cases(number=3, seed=0, recipe=None, unknown=False):
    recipe = recipe or Recipe(none=0.34, unknown=0, hud=0)
    return plans.cases(number, 0.4, seed, LIBRARY, LIBRARY, TRACES, recipe, unknown)


def setting(out, **more) -> run.Setting:
    usual = run.Setting(LIBRARY, False, None, "ultrafast", False, LabelOptions(), out)
    return replace(usual, **more)


def do(oracle, made, where) -> list[dict]:
    """Runs them all in this process."""
    oracle.cases = {one.plan.name: one for one in made}
    steps = []
    results = run.run_all(made, where, 1, steps.append)
    assert sum(steps) == len(made)
    return results


def test_what_a_clip_tells(tmp_path, oracle):
    made = cases()
    results = do(oracle, made, setting(tmp_path))
    assert [one["name"] for one in results] == ["clip0000", "clip0001", "clip0002"]
    assert [one["kind"] for one in results] == ["known", "known", "none"]
    first, nothing = results[0], results[2]
    assert first["accepted"]
    assert first["located"]
    assert first["iou"] == pytest.approx(1)
    assert first["skin"] == first["read_as"] == made[0].skin.name
    assert first["layout"] == made[0].skin.geometry
    assert first["frames"] == made[0].plan.frames == 6
    assert first["video_seconds"] == pytest.approx(6 / 15)
    assert first["warnings"] == ["odd"]
    assert first["plan"] == json.loads(clips.describe(made[0].plan))
    # Half of the frames are unsure; all count for the other score.
    assert (first["score"]["kept"], first["score"]["frames"]) == (3, 6)
    assert first["score_all"]["kept"] == 6
    assert first["reliability"] == [[1, 0, 1, 0, 1, 0, 1, 0, 1, 1]] * 2  # 0, .2, ... of 1
    assert first["score"]["right"] == first["score"]["cells"]
    assert nothing["cause"] == "no_overlay"
    assert (nothing["accepted"], nothing["located"], nothing["score"]) == (False, False, None)
    assert nothing["skin"] is None
    # Results lie beside, videos are gone.
    names = sorted(path.name for path in (tmp_path / "clips").iterdir())
    assert names == ["clip0000.json", "clip0001.json", "clip0002.json"]
    assert json.loads((tmp_path / "clips" / "clip0000.json").read_text()) == first


def test_another_place_is_not_located(tmp_path, oracle, monkeypatch):
    made = cases(1)
    oracle.cases = {made[0].plan.name: made[0]}

    def shifted(path, library, ways):
        (labels,) = oracle(path, library, ways)
        one = labels.segments[0]
        return [replace(labels, segments=(replace(one, at=one.at._replace(x=one.at.x + 20)),))]

    monkeypatch.setattr(run, "label_ways", shifted)
    (found,) = run.run_all(made, setting(tmp_path), 1, lambda amount: None)
    assert found["accepted"]
    assert not found["located"]
    assert 0 < found["iou"] < run.LOCATED


def test_what_is_done_is_not_done_again(tmp_path, oracle):
    made, where = cases(), setting(tmp_path)
    results = do(oracle, made, where)
    assert len(oracle.asked) == 3
    assert do(oracle, made, where) == results
    assert len(oracle.asked) == 3
    # One that is missing, and one that is damaged.
    (tmp_path / "clips" / "clip0001.json").unlink()
    (tmp_path / "clips" / "clip0002.json").write_text("[1, 2")
    again = do(oracle, made, where)
    assert oracle.asked[3:] == ["clip0001", "clip0002"]
    assert again == results
    # More clips: only the new ones.
    do(oracle, cases(5), where)
    assert oracle.asked[5:] == ["clip0003", "clip0004"]


@pytest.mark.parametrize(
    ("change", "more", "again"),
    [
        ({"seed": 1}, {}, 3),
        ({"recipe": Recipe(none=0.34, unknown=0, hud=0, opacity=(0.5, 0.6))}, {}, 2),
        ({}, {"options": LabelOptions(keep_confidence=0.9)}, 3),
        ({}, {"preset": "superfast"}, 3),
        ({}, {"known": Library((*LIBRARY.skins, presets.pad().renamed("more")))}, 3),
    ],
)
def test_what_has_changed_is_done_again(tmp_path, oracle, change, more, again):
    do(oracle, cases(), setting(tmp_path))
    found = do(oracle, cases(**change), setting(tmp_path, **more))
    assert len(oracle.asked) == 3 + again  # a clip without an overlay has no opacity
    assert [one["plan"]["seed"] for one in found] == [one.plan.seed for one in cases(**change)]


def test_videos_that_are_kept_are_used_again_for_the_same_plan_only(tmp_path, oracle, monkeypatch):
    where = setting(tmp_path, keep=True)
    made = cases(1)
    do(oracle, made, where)
    (film,) = [p for p in (tmp_path / "clips").iterdir() if p.suffix in (".mp4", ".mkv")]
    rendered = []
    draw = clips.render

    def counted(plan, *rest):
        rendered.append(plan.name)
        draw(plan, *rest)

    monkeypatch.setattr(clips, "render", counted)
    before, first = film.read_bytes(), oracle.pictures["clip0000"]
    do(oracle, made, replace(where, options=LabelOptions(keep_confidence=0.9)))
    assert rendered == []
    assert film.read_bytes() == before
    # Another plan of the same name has another video.
    other = [replace(made[0], plan=replace(made[0].plan, seed=99))]
    do(oracle, other, where)
    assert rendered == ["clip0000"]
    assert np.abs(oracle.pictures["clip0000"].astype(int) - first).mean() > 5
    # A video of which nobody knows what it is.
    film.with_suffix(".plan.json").unlink()
    do(oracle, made, where)
    assert len(rendered) == 2
    # Without --keep, neither the video nor the note stays.
    do(oracle, other, replace(where, keep=False))
    assert [p.name for p in (tmp_path / "clips").iterdir()] == ["clip0000.json"]


def test_one_thing_at_a_time(tmp_path, oracle, monkeypatch):
    """All ways but that of another place are asked of one pass over the video."""
    asked = []

    def watched(path, library, ways):
        asked.append([one.without for one in ways])
        return oracle(path, library, ways)

    made = cases(1)
    oracle.cases = {one.plan.name: one for one in made}
    monkeypatch.setattr(run, "label_ways", watched)
    monkeypatch.setattr(each, "is_shipped", lambda: False)
    plain = run.run_all(made, setting(tmp_path), 1, lambda amount: None)
    assert "each" not in plain[0]
    (found,) = run.run_all(made, setting(tmp_path, each=True), 1, lambda amount: None)
    steps = ("scene", "display", "between", "edges", "settle", "time", "centre")
    assert asked[1:] == [[(), *((step,) for step in steps)], [("refine",)]]
    assert list(found["each"]) == [f"without {step}" for step in (*steps, "refine")]
    for one in found["each"].values():
        assert one["score"] == found["score"] == plain[0]["score"]
    # What is known of each way is enough for a later call that does not ask for it.
    run.run_all(made, setting(tmp_path), 1, lambda amount: None)
    assert len(asked) == 3


def test_readers_are_compared_where_there_is_a_network(monkeypatch):
    monkeypatch.setattr(each, "is_shipped", lambda: False)
    options = LabelOptions(without=("edges",), parser="net.safetensors")
    found = each.ways(options)
    assert found["readers net"] == replace(options, readers="net")
    assert found["net without template"].without == ("edges", "template")
    assert found["without scene"].readers == "fit"
    assert "readers net" not in each.ways(LabelOptions())


def test_the_locator_is_not_given_the_layout_that_is_drawn(tmp_path, oracle, monkeypatch):
    made = cases(2, recipe=Recipe(none=0, unknown=0, hud=0), unknown=True)
    given = []

    def watched(path, library, options):
        given.append({skin.name for skin in library.skins})
        return oracle(path, library, options)

    oracle.cases = {one.plan.name: one for one in made}
    monkeypatch.setattr(run, "label_ways", watched)
    results = run.run_all(made, setting(tmp_path, skins_unknown=True), 1, lambda amount: None)
    for names, one in zip(given, results, strict=True):
        assert names == {"pad", "moved"} - {one["skin"]}
        assert one["kind"] == "unknown"
        assert one["score"] is None


def test_a_library_of_which_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "STREAMS", (((320, 180), 15.0, 400_000),))
    one = Library(LIBRARY.skins[:1])
    recipe = Recipe(none=0, unknown=0)
    made = plans.cases(1, 0.2, 0, one, one, TRACES, recipe, True)
    where = setting(tmp_path, known=one, skins_unknown=True)
    (found,) = run.run_all(made, where, 1, lambda amount: None)
    assert (found["cause"], found["score"]) == ("no_overlay", None)


def test_labels_without_a_segment_are_none(tmp_path, oracle, monkeypatch):
    made = cases(1)
    oracle.cases = {made[0].plan.name: made[0]}
    monkeypatch.setattr(run, "label_ways", lambda *all_: [replace(oracle(*all_)[0], segments=())])
    (found,) = run.run_all(made, setting(tmp_path), 1, lambda amount: None)
    assert not found["accepted"]
    assert found["score"] is None


def test_footage_that_cannot_be_read_ends_the_run(tmp_path, oracle):
    (tmp_path / "games").mkdir()
    (tmp_path / "games" / "bad.png").write_bytes(b"no")
    where = setting(tmp_path, footage=tmp_path / "games")
    with pytest.raises(NitrogenError, match="none of the 1 files of footage"):
        do(oracle, cases(1), where)
    assert list((tmp_path / "clips").iterdir()) == []


def table(path, states: States, drop=()) -> Path:
    """A label table as others write it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pad = gamepad.Pad(states.buttons, states.left, states.right)
    columns = gamepad.vector_to_columns(gamepad.pack(pad))
    content = {name: column.tolist() for name, column in columns.items() if name not in drop}
    pq.write_table(pa.table(content), path)
    return path


def test_truth_from_a_table(tmp_path):
    states = TRACES[0].states.take(slice(50))
    found = run.read_truth(table(tmp_path / "t.parquet", states))
    stored = [gamepad.BUTTON_INDEX[name] for name in gamepad.COLUMNS.values()]
    np.testing.assert_array_equal(found.buttons[:, stored], states.buttons[:, stored])
    np.testing.assert_allclose(found.left, states.left, atol=1e-6)
    np.testing.assert_allclose(found.right, states.right, atol=1e-6)
    assert found.triggers.shape == (50, 2)


def test_truth_that_is_none(tmp_path):
    states = States.idle(4)
    with pytest.raises(NitrogenError, match="cannot be read"):
        run.read_truth(tmp_path / "missing.parquet")
    with pytest.raises(LabelError, match="column j_left is missing"):
        run.read_truth(table(tmp_path / "t.parquet", states, drop=("j_left",)))
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    with pytest.raises(NitrogenError, match=r"bad\.parquet"):
        run.read_truth(tmp_path / "bad.parquet")


def test_frames_that_only_one_side_has_are_not_compared(tmp_path, oracle):
    made = cases(1)[0]
    path = tmp_path / f"{made.plan.name}.mkv"
    oracle.cases = {made.plan.name: made}
    clips.render(made.plan, made.skin, made.trace, Blocks(), path, "ultrafast")
    did, _ = clips.truth(made.plan, made.skin, made.trace)
    for true, frames in ((did.take(slice(4)), 4), (did.take([0, 1, 2, 3, 4, 5, 5, 5]), 6)):
        found = run.label_and_score(path, LIBRARY, LabelOptions(), true, made.skin.buttons, None)
        assert found["score"]["frames"] == frames
        assert found["score_all"]["right"] == found["score_all"]["cells"]
        assert found["iou"] is None
        assert found["located"]
