"""Videos to fetch: caps in hours, what is there already, and a CSV that does no harm."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError

pytest.importorskip("pyarrow")
pytest.importorskip("tensorflow_datasets")
from nitrogen_jax.data.build_plan import Labelled
from nitrogen_jax.data.missing import Caps, Missing, as_csv, read_creators, select

HOUR = 3600.0
CREATORS = {"a": "Ann", "b": "Ann", "c": "Bob"}


def labelled(name, *games, hours=1.0, source="youtube", start=0.0):
    return Labelled(
        video_id=name,
        games=set(games or ("Celeste",)),
        folders={f"labels/{name}"},
        chunks=1,
        seconds=hours * HOUR,
        url=f"https://example.org/{name}",
        source=source,
        start=start,
        end=start + hours * HOUR,
    )


def names(found):
    return [one.video_id for one in found]


def test_all_of_them_by_name():
    videos = [labelled("b", "Ori", hours=0.5, start=12.3456789), labelled("a", "Z", "Celeste")]
    found = select(videos, Caps(), CREATORS)
    assert found == [
        Missing(
            *("https://example.org/a", 0.0, 3600.0, "a.mp4", "a", "youtube"),
            *("Celeste; Z", 1.0, "Ann"),
        ),
        Missing(
            *("https://example.org/b", 12.346, 1812.346, "b.mp4", "b", "youtube"),
            *("Ori", 0.5, "Ann"),
        ),
    ]
    assert select([], Caps(), {}) == []


@pytest.mark.parametrize(
    ("caps", "already", "wanted"),
    [
        (Caps(), [], "abcde"),
        (Caps(total=2.5), [], "ab"),
        (Caps(total=2.0), [], "ab"),
        (Caps(total=0.5), [], ""),
        (Caps(per_game=1.0), [], "ad"),
        (Caps(per_game=2.0), [], "abde"),
        (Caps(per_creator=1.0), [], "acde"),
        (Caps(per_creator=2.0), [], "abcde"),
        (Caps(per_game=2.0, per_creator=1.0, total=3.0), [], "acd"),
        (Caps(total=3.0), ["x"], "ab"),
        (Caps(per_game=2.0), ["x"], "ade"),
        (Caps(per_creator=2.0), ["x"], "acde"),
        (Caps(total=1.0), ["x"], ""),
    ],
)
def test_caps(caps, already, wanted):
    """Celeste: a, b, c and x; Ori: d, e. Ann made a, b and x, Bob c, nobody known d and e."""
    videos = [labelled(name) for name in "abc"] + [labelled(name, "Ori") for name in "de"]
    there = [labelled(name) for name in already]
    found = select(videos, caps, CREATORS | {"x": "Ann"}, already=there)
    assert names(found) == list(wanted)


def test_what_is_too_long_makes_room_for_what_is_not():
    videos = [labelled("a", hours=1.5), labelled("b", hours=3), labelled("c", hours=0.5)]
    assert names(select(videos, Caps(total=2.0), {})) == ["a", "c"]


def test_a_video_counts_towards_each_of_its_games():
    videos = [labelled("a", "Ori", "Celeste"), labelled("b", "Ori"), labelled("c", "Celeste")]
    assert names(select(videos, Caps(per_game=1.0), {})) == ["a"]
    assert names(select(videos, Caps(per_game=2.0), {})) == ["a", "b", "c"]


def test_games_and_sources():
    videos = [labelled("a", "Ori"), labelled("b", "Z", "Ori"), labelled("c", source="twitch")]
    assert names(select(videos, Caps(), {}, games={"Ori"})) == ["a", "b"]
    assert names(select(videos, Caps(), {}, games={"Celeste", "Z"})) == ["b", "c"]
    assert names(select(videos, Caps(), {}, source="twitch")) == ["c"]
    assert names(select(videos, Caps(), {}, games={"Ori"}, source="twitch")) == []
    # What is not wanted uses nothing up.
    assert names(select(videos, Caps(total=1.0), {}, source="twitch")) == ["c"]


hours = st.sampled_from([0.25, 0.5, 1.0, 2.0, 7.0])
some_videos = st.lists(
    st.builds(
        lambda name, games, hours: labelled(name, *games, hours=hours),
        st.sampled_from("abcdefghijk"),
        st.sets(st.sampled_from(["Ori", "Celeste", "Z"]), min_size=1),
        hours,
    ),
    max_size=11,
    unique_by=lambda one: one.video_id,
)
limit = st.none() | st.sampled_from([0.5, 1.0, 2.5, 8.0])


@settings(max_examples=200)
@given(
    videos=some_videos,
    caps=st.builds(Caps, limit, limit, limit),
    there=st.sets(st.sampled_from("abcdefghijk")),
)
def test_caps_are_kept_and_used_up(videos, caps, there):
    already = [one for one in videos if one.video_id in there]
    absent = [one for one in videos if one.video_id not in there]
    found = set(names(select(absent, caps, CREATORS, already=already)))
    assert select(absent[::-1], caps, CREATORS, already=already[::-1]) == select(
        *(absent, caps, CREATORS), already=already
    )
    used = Counter()

    def keys(one):
        creator = [("creator", CREATORS[one.video_id])] if one.video_id in CREATORS else []
        return [("total", ""), *(("game", game) for game in one.games), *creator]

    limits = {"game": caps.per_game, "creator": caps.per_creator, "total": caps.total}
    for one in already + [one for one in absent if one.video_id in found]:
        used.update(dict.fromkeys(keys(one), one.seconds / HOUR))
    before = Counter()
    for one in already:
        before.update(dict.fromkeys(keys(one), one.seconds / HOUR))
    for (kind, name), total in used.items():
        if limits[kind] is not None and total > before[kind, name]:
            assert total <= limits[kind]
    for one in absent:  # whoever was left out has no place
        if one.video_id not in found:
            assert any(
                limits[kind] is not None and used[kind, name] + one.seconds / HOUR > limits[kind]
                for kind, name in keys(one)
            )


# ---------------------------------------------------------------------------------------------
# CSV


def parsed(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_csv():
    text = as_csv(select([labelled("a", "Ori, the"), labelled('b"c', start=1.5)], Caps(), CREATORS))
    assert text.splitlines()[0] == "url,start,end,file,video_id,source,game,hours,creator"
    assert parsed(text) == [
        {
            **{"url": "https://example.org/a", "start": "0.0", "end": "3600.0"},
            **{"file": "a.mp4", "video_id": "a", "source": "youtube"},
            **{"game": "Ori, the", "hours": "1.0", "creator": "Ann"},
        },
        {
            **{"url": 'https://example.org/b"c', "start": "1.5", "end": "3601.5"},
            **{"file": 'b"c.mp4', "video_id": 'b"c', "source": "youtube"},
            **{"game": "Celeste", "hours": "1.0", "creator": ""},
        },
    ]
    assert as_csv([]) == text.splitlines()[0] + "\n"


@settings(max_examples=200)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=5, max_size=5))
def test_any_text_is_one_harmless_cell(texts):
    url, video_id, source, game, creator = texts
    row = Missing(url, 0.0, 1.0, f"{video_id}.mp4", video_id, source, game, 0.5, creator)
    text = as_csv([row, row])
    assert len(text.splitlines()) == 3
    assert all(one.isprintable() or ord(one) >= 0xA0 for one in text.replace("\n", ""))
    first, second = parsed(text)
    assert first == second
    for name, cell in first.items():
        given = str(getattr(row, name))
        ids = all(one.isalnum() or one in "-_." for one in given)
        assert not cell.strip().startswith(tuple("=+-@＝＋－＠")) or ids  # noqa: RUF001
        if given.isprintable() and given[:1].isalnum():
            assert cell == given


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3+cmd", "'-2+3+cmd"),
        (" =1", "' =1"),
        ("\t=1", "' =1"),
        ("\r\n=1", "'  =1"),
        ("-dQw4w9WgXcQ", "-dQw4w9WgXcQ"),
        ("two\nlines", "two lines"),
        ("\x1b[31mred", " [31mred"),
        ("two  spaces", "two  spaces"),
        ("1 = 1", "1 = 1"),
        ("Ōkami – 大神", "Ōkami – 大神"),  # noqa: RUF001
    ],
)
def test_what_a_spreadsheet_would_run(text, wanted):
    row = Missing("u", 0.0, 1.0, f"{text}.mp4", text, "s", text, 0.5, text)
    (found,) = parsed(as_csv([row]))
    assert [found[name] for name in ("video_id", "game", "creator")] == [wanted] * 3


def test_rows_hold_what_labels_say():
    """Nothing is changed for JSON: a build looks for the file of this very name."""
    (row,) = select([labelled("=a  b", "-x\n")], Caps(), {})
    assert (row.file, row.video_id, row.game) == ("=a  b.mp4", "=a  b", "-x\n")
    assert json.loads(json.dumps(row._asdict()))["file"] == "=a  b.mp4"


# ---------------------------------------------------------------------------------------------
# Creators


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("video_id,creator\na,Ann\nb,Bob\n", {"a": "Ann", "b": "Bob"}),
        ("\ufeffvideo_id,creator\r\na,Ann\r\n", {"a": "Ann"}),
        ('creator,more,video_id\n"Ann, B",x,a\n', {"a": "Ann, B"}),
        ("video_id,creator\na,\nb\n", {"a": "", "b": ""}),
        ("video_id,creator\n", {}),
        ("", {}),
    ],
)
def test_creators(tmp_path, text, wanted):
    (tmp_path / "c.csv").write_text(text, encoding="utf-8", newline="")
    assert read_creators(tmp_path / "c.csv") == wanted


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (None, "cannot be read: .*No such file"),
        (b"video,creator\na,Ann\n", "the columns video_id and creator are needed"),
        (b"a;b\n1;2\n", "the columns video_id and creator are needed"),
        (b"video_id,creator\n\xff\xfe,x\n", "cannot be read: .*codec can't decode"),
    ],
)
def test_creators_that_cannot_be_read(tmp_path, data, complaint):
    path = tmp_path / "c.csv"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(NitrogenError, match=f"creators {path}.*{complaint}") as caught:
        read_creators(path)
    assert "\n" not in str(caught.value)


def test_a_creator_who_is_not_named_has_no_cap():
    videos = [labelled("a"), labelled("b"), labelled("c")]
    assert names(select(videos, Caps(per_creator=1.0), {"a": "", "b": ""})) == ["a", "b", "c"]
