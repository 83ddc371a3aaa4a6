"""How labels are compared with the pads that were held."""

from __future__ import annotations

import numpy as np
import pytest

from nitrogen_jax.chain import label_truth
from nitrogen_jax.data import label_tree
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, Pad, decode
from nitrogen_jax.sim import play, record

pytestmark = pytest.mark.needs("pyarrow")
RATE = 10.0


def trees(tmp_path, change=lambda pad: pad, videos=3, rows=249):
    """The true tree, and one of labels that are `change` of them."""
    for number in range(videos):
        pads = play.take(play.chance(RATE, number), rows)
        about = record.Labelled(f"video-{number}", "A Game", RATE, (64, 64), None)
        record.write_tree(tmp_path / "truth", about, pads)
        record.write_tree(tmp_path / "labels", about, change(pads))
    return tmp_path / "labels", tmp_path / "truth"


def test_the_truth_itself(tmp_path):
    found = label_truth.accuracy(*trees(tmp_path))
    assert (found["coverage"], found["button_macro_f1"], found["stick_r2"]) == (1, 1, 1)
    assert found["frames"] == 3 * 250
    assert found["intervals"]["button_macro_f1"] == [1, 1]
    assert set(found["pressed"]) <= set(play.CHANCE)


def test_errors_are_counted(tmp_path):
    at = BUTTON_INDEX["SOUTH"]

    def change(pad: Pad) -> Pad:
        buttons = pad.pressed.copy()
        buttons[:, at] = False  # is never seen
        return Pad(buttons, pad.left, 0.5 * pad.right)

    found = label_truth.accuracy(*trees(tmp_path, change))
    assert "SOUTH" in found["pressed"]
    count = len(found["pressed"])
    assert found["button_macro_f1"] == pytest.approx((count - 1) / count)
    assert 0.5 < found["stick_r2"] < 1
    low, high = found["intervals"]["stick_r2"]
    assert low <= found["stick_r2"] <= high


def test_frames_without_a_label(tmp_path):
    """A video that has none, rows of confidence 0, and a chunk that is not there."""
    labels, truth = trees(tmp_path)
    chunks = [label_tree.read_chunk(raw) for raw in label_tree.open_tree(labels).scan()]
    new = tmp_path / "fewer"
    for meta, table in chunks:
        if meta.video.video_id == "video-0" or meta.video.start_frame:
            continue
        sure = np.ones(meta.chunk_size, np.float32)
        sure[:50] = 0
        wrong = table.actions.copy()
        wrong[:50] = 1.0
        assert decode(wrong[0]).pressed.all()
        label_tree.write_chunk(new, meta, wrong, processed=wrong, confidence=sure)
    found = label_truth.accuracy(new, truth)
    assert found["coverage"] == pytest.approx(2 * 150 / 750)
    assert found["localisation_recall"] == pytest.approx(2 / 3)
    assert found["button_macro_f1"] == 1


def test_labels_of_other_videos(tmp_path):
    labels, truth = trees(tmp_path)
    about = record.Labelled("another", "A Game", RATE, (64, 64), None)
    record.write_tree(labels, about, play.take(play.chance(RATE, 0), 100))
    with pytest.raises(NitrogenError, match="has video another, which"):
        label_truth.accuracy(labels, truth)
