"""What an action is: layouts, vectors, label columns, masks and words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.gamepad import BUTTON_INDEX, BUTTONS, COLUMNS, LAYOUTS, Pad

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
UNIT = st.floats(-1, 1, width=32)
RAW = st.floats(-3, 3, width=32)  # what an untrained network may say
ROUNDING = 2**-23  # of a float32 stick on its way through [0, 1]


@st.composite
def pads(draw, shape=SHAPES, raw=False):
    """Pads of a shape or of shapes; raw: with float buttons."""
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    dtype, elements = (np.float32, RAW) if raw else (bool, st.booleans())
    buttons = draw(hnp.arrays(dtype, (*shape, 21), elements=elements))
    return Pad(
        buttons, *(draw(hnp.arrays(np.float32, (*shape, 2), elements=UNIT)) for _ in range(2))
    )


@st.composite
def vectors(draw, shape=SHAPES, elements=RAW):
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    return draw(hnp.arrays(np.float32, (*shape, 25), elements=elements))


layouts = st.sampled_from(LAYOUTS)


def pad_of(*buttons, left=(0, 0), right=(0, 0)):
    """One step with these buttons pressed."""
    return Pad([name in buttons for name in BUTTONS], left, right)


def assert_same(one, other, atol=0.0):
    np.testing.assert_array_equal(one.buttons, other.buttons)
    np.testing.assert_allclose(one.left, other.left, rtol=0, atol=atol)
    np.testing.assert_allclose(one.right, other.right, rtol=0, atol=atol)


def table(steps=3):
    """A label table of idle steps, as lists."""
    rest = {name: [False] * steps for name in COLUMNS}
    return {**rest, "j_left": [[0, 0]] * steps, "j_right": [[0.0, 0.0]] * steps}


# ---------------------------------------------------------------------------------------------
# Names and layouts


def test_names_count_and_order():
    assert (gamepad.ACTION_DIM, gamepad.NUM_BUTTONS) == (25, 21)
    assert len(set(gamepad.DIMENSIONS)) == 25
    assert list(BUTTONS) == sorted(BUTTONS)  # the released weights have them in this order
    assert gamepad.DIMENSIONS[21:] == ("LEFT_X", "LEFT_Y", "RIGHT_X", "RIGHT_Y")
    assert BUTTONS[18] == "SOUTH"
    assert BUTTON_INDEX["SOUTH"] == 18


def test_columns_name_every_button_but_four():
    assert len(COLUMNS) == 17
    assert set(BUTTONS) - set(COLUMNS.values()) == {
        *("RIGHT_BOTTOM", "RIGHT_LEFT", "RIGHT_RIGHT", "RIGHT_UP")
    }


def test_old_layout_has_sticks_first():
    assert gamepad.layout_names() == gamepad.DIMENSIONS
    assert gamepad.layout_names("sticks_first") == gamepad.STICK_AXES + BUTTONS


@pytest.mark.parametrize("layout", LAYOUTS)
def test_slices_agree_with_names(layout):
    names, at = gamepad.layout_names(layout), gamepad.layout_slices(layout)
    assert names[at.buttons] == BUTTONS
    assert names[at.left] == ("LEFT_X", "LEFT_Y")
    assert names[at.right] == ("RIGHT_X", "RIGHT_Y")
    assert names[at.sticks] == gamepad.STICK_AXES


@given(vectors(), layouts, layouts)
def test_layout_conversion_is_an_involution(vector, source, target):
    there = gamepad.convert_layout(vector, source, target)
    np.testing.assert_array_equal(gamepad.convert_layout(there, target, source), vector)


@given(vectors(), layouts, layouts)
def test_layout_conversion_keeps_what_is_meant(vector, source, target):
    converted = gamepad.convert_layout(vector, source, target)
    assert_same(
        gamepad.decode(converted, layout=target),
        gamepad.decode(vector, layout=source),
    )


def test_layout_conversion_moves_each_dimension_and_keeps_the_type():
    numbered = np.arange(25)
    converted = gamepad.convert_layout(numbered, "buttons_first", "sticks_first")
    assert converted.dtype == numbered.dtype
    named = [gamepad.DIMENSIONS[number] for number in converted]
    assert tuple(named) == gamepad.layout_names("sticks_first")


# ---------------------------------------------------------------------------------------------
# Pad <-> vector


def test_one_step_by_hand():
    pad = pad_of("SOUTH", left=(1, -1), right=(0.5, 0))
    vector = gamepad.pack(pad)
    expected = np.zeros(25, np.float32)
    expected[18] = 1
    expected[21:] = [1, 0, 0.75, 0.5]
    np.testing.assert_array_equal(vector, expected)
    assert vector.dtype == np.float32
    old = gamepad.pack(pad, "sticks_first")
    np.testing.assert_array_equal(old[:4], [1, 0, 0.75, 0.5])
    assert old[4 + 18] == 1
    assert old.sum() == 1 + 2.25


@given(pads(), layouts)
def test_unpack_undoes_pack(pad, layout):
    vector = gamepad.pack(pad, layout)
    assert vector.shape == (*pad.shape, 25)
    assert_same(Pad(*gamepad.unpack(vector, layout)), pad, ROUNDING)
    assert_same(gamepad.decode(vector, layout=layout), pad, ROUNDING)


@given(pads(raw=True), layouts)
def test_unpack_undoes_pack_before_any_threshold(pad, layout):
    assert_same(Pad(*gamepad.unpack(gamepad.pack(pad, layout), layout)), pad, ROUNDING)


@given(hnp.arrays(np.int16, (5, 2)))
def test_sticks_of_a_16_bit_pad_survive_exactly(ticks):
    stick = ticks.astype(np.float32) / 32768
    np.testing.assert_array_equal(gamepad.unscale_stick(gamepad.scale_stick(stick)), stick)


@given(vectors(elements=st.floats(0, 1, width=32)), layouts)
def test_pack_undoes_unpack(vector, layout):
    buttons, left, right = gamepad.unpack(vector, layout)
    again = gamepad.pack(Pad(buttons, left, right), layout)
    np.testing.assert_allclose(again, vector, rtol=0, atol=ROUNDING)


def test_unpack_neither_clips_nor_thresholds():
    vector = np.full((2, 25), 1.25, np.float32)
    buttons, left, right = gamepad.unpack(vector)
    assert (buttons == 1.25).all()
    assert (left == 1.5).all()
    assert (right == 1.5).all()


@given(vectors(), st.floats(0.1, 0.9), layouts)
def test_decode_is_idempotent(vector, threshold, layout):
    once = gamepad.decode(vector, threshold, layout)
    assert_same(gamepad.decode(gamepad.pack(once, layout), threshold, layout), once)


@given(vectors(), st.floats(-1, 2))
def test_decode_follows_its_formula(vector, threshold):
    pad = gamepad.decode(vector, threshold)
    assert pad.buttons.dtype == bool
    np.testing.assert_array_equal(pad.buttons, vector[..., :21] > threshold)
    np.testing.assert_array_equal(pad.left, np.clip(2 * vector[..., 21:23] - 1, -1, 1))
    np.testing.assert_array_equal(pad.right, np.clip(2 * vector[..., 23:] - 1, -1, 1))


def test_a_button_at_the_threshold_is_not_pressed():
    vector = np.full(25, 0.5, np.float32)
    assert not gamepad.decode(vector).buttons.any()
    assert gamepad.decode(np.nextafter(vector, 1)).buttons.all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_decode_refuses_what_is_not_finite_and_says_where(bad):
    vector = gamepad.neutral((2, 3))
    vector[1, 2, 7] = bad
    with pytest.raises(NitrogenError, match=r"at \[1, 2, 7\]"):
        gamepad.decode(vector)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, bool])
def test_decode_takes_any_real_type(dtype):
    vector = np.zeros((2, 25), dtype)
    vector[:, 18] = 1
    pad = gamepad.decode(vector)
    assert pad.pressed[:, 18].all()
    assert (pad.left == -1).all()
    assert pad.left.dtype == np.float32


def test_decode_takes_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    pad = gamepad.decode(gamepad.neutral(4).astype(ml_dtypes.bfloat16))
    assert gamepad.is_idle(pad).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), 3, (2, 5)])
def test_neutral_is_idle(shape, layout):
    vector = gamepad.neutral(shape, layout)
    assert vector.shape == (*np.zeros(shape).shape, 25)
    pad = gamepad.decode(vector, layout=layout)
    assert not pad.buttons.any()
    assert not np.any([pad.left, pad.right])


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.zeros((3, 24)), r"shape \(3, 24\), where the last dimension must be 25"),
        (np.float32(1), r"shape \(\), where the last dimension"),
        (np.full(25, "a"), "type <U1, where real numbers"),
        (np.zeros(25, complex), "type complex128, where real numbers"),
        (np.zeros(25, object), "type object, where real numbers"),
        ([[0] * 25, [0] * 24], "rows differ in length"),
    ],
)
@pytest.mark.parametrize("read", [gamepad.decode, gamepad.unpack])
def test_what_is_no_vector_is_refused(read, vector, message):
    with pytest.raises(NitrogenError, match=message):
        read(vector)


@pytest.mark.parametrize(
    "call",
    [
        lambda layout: gamepad.pack(pad_of(), layout),
        lambda layout: gamepad.unpack(np.zeros(25), layout),
        lambda layout: gamepad.decode(np.zeros(25), layout=layout),
        lambda layout: gamepad.convert_layout(np.zeros(25), layout, "sticks_first"),
        lambda layout: gamepad.convert_layout(np.zeros(25), "sticks_first", layout),
        lambda layout: gamepad.neutral((), layout),
        lambda layout: gamepad.columns_to_vector(table(), layout),
        gamepad.layout_names,
    ],
)
def test_unknown_layouts_are_refused(call):
    with pytest.raises(NitrogenError, match="'new' is not one of buttons_first, sticks_first"):
        call("new")


# ---------------------------------------------------------------------------------------------
# Pad


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((np.zeros(20, bool), [0, 0], [0, 0]), r"buttons has shape \(20,\)"),
        ((np.zeros(21, bool), [0, 0, 0], [0, 0]), r"left stick has shape \(3,\)"),
        ((np.zeros((4, 21)), np.zeros((4, 2)), np.zeros((3, 2))), r"right stick has .*\(3,\)"),
        ((np.zeros(21), [0, 1.5], [0, 0]), r"left stick holds 1.5, .*\[-1, 1\]"),
        ((np.zeros(21), [0, 0], [-2, 0]), r"right stick holds -2"),
        ((np.zeros(21), [0, np.nan], [0, 0]), "left stick holds nan"),
        ((np.full(21, np.inf), [0, 0], [0, 0]), "buttons holds inf"),
        ((["A"] * 21, [0, 0], [0, 0]), "buttons has type"),
    ],
)
def test_what_is_no_pad_is_refused(parts, message):
    with pytest.raises(NitrogenError, match=message):
        Pad(*parts)


@given(pads(shape=(4, 3)), st.integers(0, 3), st.integers(0, 2))
def test_indexing_a_pad_picks_steps(pad, row, column):
    one = pad[row, column]
    assert one.shape == ()
    assert_same(one, pad[row][column])
    assert_same(one, Pad(pad.buttons[row, column], pad.left[row, column], pad.right[row, column]))
    assert pad[1:].shape == (3, 3)
    assert pad[:, 0].shape == (4,)


def test_float_buttons_are_pressed_above_a_half():
    values = np.linspace(0, 1, 21)
    np.testing.assert_array_equal(Pad(values, [0, 0], [0, 0]).pressed, values > 0.5)


# ---------------------------------------------------------------------------------------------
# Label columns


@given(pads(shape=st.tuples(st.integers(0, 6))), layouts)
def test_columns_round_trip(pad, layout):
    columns = gamepad.vector_to_columns(gamepad.pack(pad, layout), layout=layout)
    assert set(columns) == {*COLUMNS, "j_left", "j_right"}
    for column, button in COLUMNS.items():
        assert columns[column].dtype == bool
        np.testing.assert_array_equal(columns[column], pad.buttons[:, BUTTON_INDEX[button]])
    without = {"RIGHT_BOTTOM", "RIGHT_LEFT", "RIGHT_RIGHT", "RIGHT_UP"}
    vector = gamepad.columns_to_vector(columns, layout)
    assert vector.dtype == np.float32
    again = gamepad.decode(vector, layout=layout)
    assert_same(again, gamepad.apply_mask(pad, without), 2 * ROUNDING)


@given(pads(shape=(5,)), st.randoms(use_true_random=False))
def test_columns_of_any_type_mean_the_same(pad, random):
    """However a reader hands the columns over: types, lists, arrays, objects."""
    plain = gamepad.vector_to_columns(gamepad.pack(pad))

    def objects(rows):
        column = np.empty(len(rows), object)
        column[:] = rows
        return column

    button_forms = [
        *(lambda c, t=t: c.astype(t) for t in (bool, np.uint8, np.int64, np.float64, object)),
        lambda c: c.tolist(),
    ]
    stick_forms = [
        lambda c: c.astype(np.float64),
        lambda c: c.astype(object),
        lambda c: c.tolist(),
        lambda c: objects(c.tolist()),
        lambda c: objects(list(c)),
        lambda c: objects([row.astype(object) for row in c]),
    ]
    mixed = {
        name: random.choice(stick_forms if name in gamepad.STICK_COLUMNS else button_forms)(column)
        for name, column in plain.items()
    }
    np.testing.assert_array_equal(
        gamepad.columns_to_vector(mixed), gamepad.columns_to_vector(plain)
    )


def test_columns_by_hand():
    columns = table(2)
    columns["south"] = [0, 1]
    columns["j_left"] = [[-1, -1], [0.5, 2]]  # rows of int and of float; 2 is out of range
    vector = gamepad.columns_to_vector({**columns, "frame": ["x", "y"]})
    expected = gamepad.neutral(2)
    expected[1, 18] = 1
    expected[:, 21:23] = [[0, 0], [0.75, 1]]
    np.testing.assert_array_equal(vector, expected)


def test_columns_of_an_arrow_table():
    pyarrow = pytest.importorskip("pyarrow")
    columns = {**table(3), "west": [1, 0, 1], "j_right": [[0.5, -0.5], [1, 0], [0, 0]]}
    arrow = pyarrow.table(columns)
    np.testing.assert_array_equal(
        gamepad.columns_to_vector({name: arrow[name] for name in arrow.column_names}),
        gamepad.columns_to_vector(columns),
    )


def test_a_table_without_rows_has_no_actions():
    assert gamepad.columns_to_vector(table(0)).shape == (0, 25)


def test_missing_columns_are_named():
    columns = table()
    del columns["south"], columns["j_right"]
    with pytest.raises(NitrogenError, match=r"^clip\.parquet: no column south, j_right"):
        gamepad.columns_to_vector(columns, where="clip.parquet")


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("south", [0, 1], "column south has 2 rows and j_left has 3"),
        ("j_right", [[0, 0]] * 4, "column j_right has 4 rows and j_left has 3"),
        ("south", [True, None, False], "column south, row 1: None"),
        ("south", ["0", "1", "0"], "column south, row 0: '0'"),
        ("south", [0.0, np.nan, 1.0], r"column south holds nan at \[1\]"),
        ("j_left", [[0, 0], None, [0, 0]], "column j_left, row 1: None"),
        ("j_left", [[0, 0], [0, 0], [0, 0, 1]], r"column j_left, row 2: \[0, 0, 1\]"),
        ("j_left", [[0, 0], [0, "left"], [0, 0]], r"column j_left, row 1: \[0, 'left'\]"),
        ("j_left", [0, 0, 0], "column j_left, row 0: 0 cannot be read"),
        ("j_left", [np.zeros((2, 2)), np.zeros((2, 3))], "column j_left, row 0"),
        ("j_left", np.full((3, 2), np.inf), r"column j_left holds inf at \[0, 0\]"),
        ("j_left", 3, "column j_left, row 0: 3"),
    ],
)
def test_unreadable_columns_are_refused(name, column, message):
    with pytest.raises(NitrogenError, match=message):
        gamepad.columns_to_vector({**table(), name: column})


def test_only_a_sequence_of_steps_makes_a_table():
    with pytest.raises(NitrogenError, match=r"\(2, 3, 25\), where a table needs"):
        gamepad.vector_to_columns(np.zeros((2, 3, 25)))


# ---------------------------------------------------------------------------------------------
# Masks and idle steps


@given(pads(), st.sets(st.sampled_from(BUTTONS)))
def test_a_mask_only_releases_what_is_forbidden(pad, forbidden):
    before = pad.buttons.copy()
    masked = gamepad.apply_mask(pad, forbidden)
    kept = np.array([name not in forbidden for name in BUTTONS])
    np.testing.assert_array_equal(masked.buttons, before & kept)
    np.testing.assert_array_equal(pad.buttons, before)  # the pad itself is not touched
    np.testing.assert_array_equal(masked.left, pad.left)
    np.testing.assert_array_equal(masked.right, pad.right)


def test_no_menus_releases_start_guide_and_back():
    masked = gamepad.apply_mask(pad_of(*BUTTONS), gamepad.NO_MENUS)
    released = {name for name in BUTTONS if not masked.pressed[BUTTON_INDEX[name]]}
    assert released == {"START", "GUIDE", "BACK"}


def test_unknown_buttons_are_refused_with_the_names():
    with pytest.raises(NitrogenError, match="button PAUSE is not known: the names are BACK, "):
        gamepad.apply_mask(pad_of(), {"START", "PAUSE"})


@given(pads(), st.floats(0, 1))
def test_idle_is_nothing_pressed_and_both_sticks_near_rest(pad, dead_zone):
    near = [np.sqrt((stick.astype(float) ** 2).sum(-1)) for stick in (pad.left, pad.right)]
    idle = gamepad.is_idle(pad, dead_zone)
    assert idle.shape == pad.shape
    clear = (np.abs(near[0] - dead_zone) > 1e-6) & (np.abs(near[1] - dead_zone) > 1e-6)
    expected = ~pad.buttons.any(-1) & (near[0] < dead_zone) & (near[1] < dead_zone)
    np.testing.assert_array_equal(idle[clear], expected[clear])


def test_idle_by_hand():
    assert gamepad.is_idle(pad_of(left=(0.0625, 0.0625)))
    assert not gamepad.is_idle(pad_of(left=(0.09, 0.09)))  # 0.127 from rest
    assert not gamepad.is_idle(pad_of(right=(0, -0.5)))
    assert not gamepad.is_idle(pad_of("GUIDE"))
    assert gamepad.is_idle(pad_of(left=(0, 0.5)), dead_zone=0.5)


# ---------------------------------------------------------------------------------------------
# Words


@pytest.mark.parametrize(
    ("pad", "words"),
    [
        (pad_of(), "idle"),
        (pad_of("SOUTH", left=(0.8, -0.8)), "A + left stick up-right"),
        (pad_of("EAST", "WEST", "NORTH"), "B + X + Y"),
        (pad_of("LEFT_SHOULDER", "RIGHT_TRIGGER"), "LB + RT"),
        (pad_of("DPAD_UP", "LEFT_THUMB"), "d-pad up + left stick click"),
        (pad_of("RIGHT_UP", "START"), "Start + RIGHT_UP"),
        (pad_of(left=(0, -0.3)), "left stick slightly up"),
        (pad_of(left=(0, 0.5)), "left stick halfway down"),
        (pad_of(right=(-1, 0)), "right stick left"),
        (pad_of(left=(0.05, 0.05)), "idle"),
    ],
)
def test_words(pad, words):
    assert gamepad.describe(pad) == words


def test_the_eight_directions():
    names = ["right", "down-right", "down", "down-left", "left", "up-left", "up", "up-right"]
    for eighth, name in enumerate(names):
        for offset in (-0.45, 0, 0.45):  # an eighth reaches half of itself to both sides
            turn = (eighth + offset) * np.pi / 4
            stick = 0.9 * np.array([np.cos(turn), np.sin(turn)])
            assert gamepad.describe(pad_of(left=stick)) == f"left stick {name}"


def test_every_button_has_its_own_word():
    words = {gamepad.describe(pad_of(name)) for name in BUTTONS}
    assert len(words) == 21
    assert "idle" not in words


@given(pads(shape=()), st.floats(0, 1))
def test_any_step_can_be_described_and_idle_is_idle(pad, dead_zone):
    words = gamepad.describe(pad, dead_zone)
    assert (words == "idle") == bool(gamepad.is_idle(pad, dead_zone))
    assert len(words.split(" + ")) >= pad.buttons.sum()


def test_equal_steps_of_a_chunk_become_one_line():
    run = pad_of("SOUTH", left=(0.8, -0.8))
    steps = [run, run, run, pad_of(), run, pad_of("EAST"), pad_of("EAST")]
    chunk = gamepad.decode(np.stack([gamepad.pack(step) for step in steps]))
    assert gamepad.describe_chunk(chunk) == [
        "steps 0-2: A + left stick up-right",
        "step 3: idle",
        "step 4: A + left stick up-right",
        "steps 5-6: B",
    ]


@given(pads(shape=st.tuples(st.integers(0, 8))))
def test_the_lines_of_a_chunk_cover_every_step_once(pad):
    told = []
    for line in gamepad.describe_chunk(pad):
        steps, words = line.split(": ")
        ends = [int(end) for end in steps.split()[1].split("-")]
        told += [words] * (ends[-1] - ends[0] + 1)
        assert ends[-1] == len(told) - 1
    assert told == [gamepad.describe(pad[step]) for step in range(pad.shape[0])]


def test_only_one_step_or_one_chunk_is_described():
    with pytest.raises(NitrogenError, match=r"pad of shape \(3,\) cannot be described"):
        gamepad.describe(gamepad.decode(gamepad.neutral(3)))
    with pytest.raises(NitrogenError, match=r"pad of shape \(\) is not a chunk"):
        gamepad.describe_chunk(gamepad.decode(gamepad.neutral()))
