"""One chunk: what is read of metadata.json and what is refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
from nitrogen_jax.data import labels
from nitrogen_jax.data.labels import Area, Box, ChunkMeta, LabelError, OriginalVideo

_spec = importlib.util.spec_from_file_location(
    "label_trees", Path(__file__).parent / "label_trees.py"
)
label_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(label_trees)
GONE = label_trees.GONE


def parse(video_id=None, **changes) -> ChunkMeta:
    data = label_trees.metadata(**changes)
    return labels.parse_metadata(json.dumps(data).encode(), "a/metadata.json", video_id)


def examine(**changes):
    data = label_trees.metadata(**changes)
    return labels.examine_metadata(json.dumps(data).encode(), "a/metadata.json", "folder")


def test_all_fields():
    data = label_trees.metadata("vid", 3, rows=30, bbox_others=[{"x": 1}], label_lag=-2)
    assert labels.parse_metadata(json.dumps(data).encode(), "m") == ChunkMeta(
        uuid="uuid-vid-3",
        chunk_id="0003",
        chunk_size=30,
        game="Some Game",
        controller_type="xboxone",
        overlay=Box(100, 500, 200, 100),
        game_area=Area(0, 0.125, 1, 0.875),
        others=({"x": 1},),
        label_lag=-2,
        video=OriginalVideo(
            video_id="vid",
            resolution=(720, 1280),
            source="youtube",
            url="https://example.org/vid",
            start_time=1.5,
            end_time=2.0,
            duration=0.5,
            start_frame=90,
            end_frame=120,
        ),
    )


def test_a_sound_file_has_no_findings():
    assert examine() == (parse(), [])


def test_the_json_that_is_written_is_that_of_the_format():
    data = label_trees.metadata("vid", 2, bbox_others=[[1, 2]])
    assert labels.metadata_to_json(labels.parse_metadata(json.dumps(data).encode(), "m")) == data


@pytest.mark.parametrize(
    ("changes", "rate"),
    [
        ({}, 60.0),
        ({"rows": 15}, 30.0),
        ({"video__end_time": None}, 60.0),  # the duration
        ({"video__end_time": None, "video__duration": 0.25}, 120.0),
        ({"video__start_time": 7.0}, 60.0),  # it ends before it begins: the duration
        ({"video__end_time": 3600.0}, 60.0),  # less than a row a second: the duration
        ({"video__end_time": 0, "video__duration": None}, 1.5),  # 20 s
        ({"video__end_time": 0, "video__duration": -1}, 1.5),
        ({"video__end_time": 1e-9, "video__duration": 1e300}, 1.5),
    ],
)
def test_rate(changes, rate):
    assert parse(**{"rows": 30, **changes}).rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("chunk_size", "8", 8),
        ("chunk_size", 8.0, 8),
        ("chunk_id", 7, "7"),
        ("uuid", 12, "12"),
        ("uuid", None, ""),
        ("game", GONE, ""),
        ("game", ["a"], ""),
        ("game", "ゼルダの伝説 🎮", "ゼルダの伝説 🎮"),
        ("game", "half \ud83d pair", "half ? pair"),
        ("bbox_controller_overlay", None, None),
        ("bbox_controller_overlay", [0, 0, 0, 0], None),
        ("bbox_controller_overlay", ["10", 20.5, 30, 40], Box(10, 20.5, 30, 40)),
        ("bbox_controller_overlay", [-10, -20, 30, 40], Box(0, 0, 20, 20)),
        ("bbox_controller_overlay", [1270, 700, 30, 40], Box(1270, 700, 10, 20)),
        ("bbox_controller_overlay", [-5, -5, 2000, 2000], Box(0, 0, 1280, 720)),
        ("bbox_game_area", GONE, None),
        ("bbox_game_area", {"xtl": -0.5, "ytl": 0, "xbr": 2, "ybr": 1}, Area(0, 0, 1, 1)),
        ("bbox_game_area", {"xtl": 0.9, "ytl": 0, "xbr": 0.1, "ybr": 1}, None),
        ("label_lag", None, 0),
        ("label_lag", 3, 3),
        ("bbox_others", {"a": 1}, ({"a": 1},)),
        ("bbox_others", "text", ()),
    ],
)
def test_patience(field, value, read):
    changed = parse(**{field: value})
    name = {"bbox_controller_overlay": "overlay", "bbox_game_area": "game_area"}.get(field, field)
    name = name.removeprefix("bbox_")
    assert getattr(changed, name) == read
    unchanged = dataclasses.replace(changed, **{name: getattr(parse(), name)})
    assert unchanged == parse()


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("start_frame", "16", 16),
        ("end_frame", GONE, 8),
        ("end_frame", "x", 8),
        ("start_time", "1.5", 1.5),
        ("start_time", math.nan, None),
        ("end_time", 10**400, None),
        ("duration", True, None),
        ("resolution", None, None),
        ("resolution", [1080], None),
        ("resolution", [0, 10], None),
        ("resolution", [1080.0, "1920"], (1080, 1920)),
        ("resolution", "1080x1920", None),
        ("video_id", 123456, "123456"),
        ("video_id", "видео", "видео"),
    ],
)
def test_patience_with_the_video(field, value, read):
    assert getattr(parse(**{f"video__{field}": value}).video, field) == read


@pytest.mark.parametrize(
    ("changes", "cause", "says"),
    [
        ({"chunk_size": GONE}, "field_missing", "chunk_size is missing"),
        ({"chunk_size": None}, "field_missing", "chunk_size is null"),
        ({"chunk_size": 0}, "field_value", "chunk_size is 0"),
        ({"chunk_size": 7.5}, "field_value", "chunk_size is 7.5"),
        ({"chunk_size": True}, "field_type", "chunk_size is True"),
        ({"chunk_size": math.inf}, "field_type", "chunk_size is inf"),
        ({"chunk_size": 10**300}, "field_value", "chunk_size is 1000"),
        ({"chunk_size": 10**4000}, "field_type", "chunk_size is 1000"),
        ({"original_video": GONE}, "field_missing", "original_video is missing"),
        ({"original_video": [1]}, "field_type", r"original_video is \[1\]"),
        ({"video__start_frame": GONE}, "field_missing", "original_video.start_frame is missing"),
        ({"video__start_frame": -1}, "field_value", "original_video.start_frame is -1"),
        ({"video__start_frame": math.nan}, "field_type", "original_video.start_frame is nan"),
        ({"video__video_id": "../up"}, "field_value", "video_id is '../up'"),
        ({"video__video_id": ".."}, "field_value", "video_id is '..'"),
        ({"video__video_id": "a\0b"}, "field_value", "video_id is"),
        ({"label_lag": "late"}, "field_type", "label_lag is 'late'"),
        ({"label_lag": 0.5}, "field_value", "label_lag is 0.5"),
        # The overlay shows the answer: it must be known where it is.
        ({"bbox_controller_overlay": "0 0 9 9"}, "field_type", "overlay is '0 0 9 9'"),
        ({"bbox_controller_overlay": [1, 2, 3]}, "field_type", "overlay is"),
        ({"bbox_controller_overlay": [1, 2, math.nan, 4]}, "field_type", "overlay is"),
        ({"bbox_controller_overlay": [1, 2, 0, 4]}, "box_empty", "is empty"),
        ({"bbox_controller_overlay": [1, 2, -3, 4]}, "box_empty", "is empty"),
        ({"bbox_controller_overlay": [1280, 0, 9, 9]}, "box_outside", "1280 x 720 pixels"),
        ({"bbox_game_area": [0, 0, 1, 1]}, "field_type", "bbox_game_area is"),
        ({"bbox_game_area": {"xtl": 0}}, "field_type", "bbox_game_area is"),
    ],
)
def test_refused(changes, cause, says):
    with pytest.raises(LabelError, match=f"^a/metadata.json: field .*{says}") as caught:
        parse(**changes)
    assert caught.value.cause == cause
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"chunk_size":1}'],
)
def test_no_object(data):
    with pytest.raises(LabelError, match=r"^a/metadata.json\b"):
        labels.parse_metadata(data, "a/metadata.json")


def test_deep_nesting_in_a_field():
    nested = b"[" * 900 + b"]" * 900
    data = json.dumps(label_trees.metadata(game="@")).encode().replace(b'"@"', nested)
    assert labels.parse_metadata(data, "m").game == ""


def test_the_video_falls_back_to_its_folder():
    assert parse("folder", video__video_id=GONE).video.video_id == "folder"
    assert parse("folder").video.video_id == "vid"
    with pytest.raises(LabelError, match="video_id is ''"):
        parse(video__video_id=GONE)


@pytest.mark.parametrize(
    ("changes", "causes"),
    [
        ({"uuid": GONE, "game": None}, ["field_missing", "field_missing"]),
        ({"video__url": 5}, ["field_type"]),
        ({"video__end_frame": 7}, []),  # the last frame instead of the one after
        ({"video__end_frame": 9}, ["frames_inconsistent"]),
        ({"video__end_time": 0.0}, ["times_inconsistent"]),
        ({"chunk_size": "8"}, ["field_type"]),
        ({"bbox_controller_overlay": GONE}, ["field_missing"]),
        ({"bbox_controller_overlay": None}, []),
        ({"bbox_controller_overlay": [0, 0, 0, 0]}, ["box_empty"]),
        ({"bbox_controller_overlay": [-1, 0, 10, 10]}, ["box_overflows"]),
        ({"bbox_controller_overlay": [0, 0, 1280.0001, 720]}, []),
        ({"bbox_game_area": {"xtl": 0, "ytl": 0, "xbr": 1.5, "ybr": 1}}, ["area_invalid"]),
        ({"bbox_game_area": {"xtl": 1, "ytl": 0, "xbr": 0, "ybr": 1}}, ["area_invalid"]),
        ({"video__resolution": None}, ["field_missing"]),
    ],
)
def test_what_is_odd_but_usable(changes, causes):
    meta, findings = examine(**changes)
    assert meta is not None
    assert [finding.cause for finding in findings] == causes
    assert not any(finding.fatal for finding in findings)


def test_several_fatal_findings_are_all_listed():
    meta, findings = examine(chunk_size=0, video__start_frame="x", bbox_controller_overlay=1)
    assert meta is None
    assert [finding.cause for finding in findings if finding.fatal] == [
        *("field_type", "field_value", "field_type")
    ]


def test_an_error_survives_pickling_with_its_cause():
    error = pickle.loads(pickle.dumps(LabelError("a sentence", "a_cause")))
    assert (str(error), error.cause) == ("a sentence", "a_cause")


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    [
        *label_trees.metadata(),
        *(f"video__{name}" for name in label_trees.metadata()["original_video"]),
    ]
)


@given(st.dictionaries(names, values | st.just(GONE), max_size=6))
def test_any_values_are_read_or_refused_in_one_sentence(changes):
    if "original_video" in changes:
        changes = {"original_video": changes["original_video"]}
    data = json.dumps(label_trees.metadata(**changes)).encode()
    meta, findings = labels.examine_metadata(data, "m.json")
    assert (meta is None) == any(finding.fatal for finding in findings)
    for finding in findings:
        assert finding.message.startswith("m.json: field ")
        assert finding.message.isprintable()
    if meta is not None:
        assert 1 <= meta.rate <= 1000 or meta.seconds == 20
        if meta.overlay is not None and meta.video.resolution is not None:
            height, width = meta.video.resolution
            assert 0 <= meta.overlay.x < meta.overlay.x + meta.overlay.w <= width + 1e-3
            assert 0 <= meta.overlay.y < meta.overlay.y + meta.overlay.h <= height + 1e-3
        if meta.game_area is not None:
            xtl, ytl, xbr, ybr = meta.game_area
            assert 0 <= xtl < xbr <= 1
            assert 0 <= ytl < ybr <= 1
        # What is written of it says the same.
        again = json.dumps(labels.metadata_to_json(meta)).encode()
        assert labels.parse_metadata(again, "again") == meta


@given(st.binary(max_size=200))
def test_random_bytes_are_no_metadata(data):
    with pytest.raises(LabelError, match=r"^m\.json"):
        labels.parse_metadata(data, "m.json")
