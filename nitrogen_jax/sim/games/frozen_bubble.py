"""Frozen-Bubble 2.2, in Perl: bubbles are shot at others of their colour."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

from nitrogen_jax.sim.game import Game, Press, Setup

# The SDL 1.2 that is made of SDL 2, which alone finds the simulator's pad, lies beside the old one.
COMPAT = f"/usr/lib/{platform.machine()}-linux-gnu/sdl12-compat"
NUMBER_OF_LEVELS = 100

# The settings are a piece of Perl. Axes 0 and 1 are the left stick; it counts buttons from 1.
SETTINGS = """\
$fullscreen = 0;
$graphics_level = 2;
$KEYS = {{
  p1 => {{ left => 'joystick|axisvalue|0|0|-10000', right => 'joystick|axisvalue|0|0|10000',
          fire => 'joystick|buttondown|0|1', center => 'joystick|axisvalue|0|1|10000' }},
  p2 => $KEYS->{{p2}}, misc => $KEYS->{{misc}},
}};
no warnings 'redefine';
# Colours are drawn from the clock, which tells every episode the same.
my $ticks = \\&SDL::get_ticks;
*SDL::get_ticks = sub {{ $ticks->() + {seed} }};
# The game's own goes by addresses in memory, which differ from one episode to the next.
*fastuniq = sub {{ my %seen; grep {{ !$seen{{$_}}++ }} @_ }};
# For judges: one line of output whenever something has changed, see the notes.
my ($told, $verify) = ('', \\&verify_if_end);
*verify_if_end = sub {{
  $verify->(@_);
  my ($state) = split ' ', $pdata{{state}};
  my $now = join ' ', $state, $total_launched_bubbles || 0, $launched_bubble{{p1}} ? 1 : 0,
    $pdata{{p1}}{{newrootlevel}}, map({{ get_bubble_num($_) }} $tobe_launched{{p1}}),
    map({{ join ',', $_->{{cx}}, $_->{{cy}}, get_bubble_num($_) }} @{{$sticked_bubbles{{p1}}}});
  $now ne $told and printf "told %.4f %s\n", $angle{{p1}}, $told = $now;
}};
"""


def command(setup: Setup) -> Sequence[str]:
    start = ["--solo"] if setup.level == "random" else ["--level", setup.level]
    return [setup.program, "--no-sound", "--no-fullscreen", *start]


def home(setup: Setup) -> Mapping[str, str]:
    return {".frozen-bubble/rc": SETTINGS.format(seed=setup.seed % 1_000_000_007)}


GAME = Game(
    slug="frozen-bubble",
    title="Frozen-Bubble",
    name="FrozenBubble",
    packages=("frozen-bubble", "libsdl1.2-compat"),
    program="frozen-bubble",
    needs=(COMPAT,),
    levels=(*(str(number + 1) for number in range(NUMBER_OF_LEVELS)), "random"),
    command=command,
    environment=lambda setup: {"LD_LIBRARY_PATH": COMPAT, "SDL_RENDER_DRIVER": "software"},
    home=home,
    display="dummy",
    fps=50.0,
    # Pictures are loaded for a moment; then the level is there.
    start=(Press(1.0),),
    same_as={"RIGHT_TRIGGER": ("SOUTH",)},
    script=(
        *(Press(0.4, left=(-1, 0)), Press(0.1, ("SOUTH",)), Press(0.8)),
        *(Press(0.6, left=(1, 0)), Press(0.1, ("RIGHT_TRIGGER",)), Press(0.6)),
        *(Press(0.1, left=(0, 1)), Press(0.1, ("SOUTH",)), Press(0.5)),
    ),
    notes=(
        "Repeats exactly. Left stick: aim; down: straight up; south: shoot. The seed draws the "
        "colours. A level that is lost or won goes on with any button. Its output has a line `told "
        "ANGLE STATE SHOTS FLYING ROOF COLOUR X,Y,COLOUR ...` for each change: radians from the "
        "right; game, won or lost; whether a bubble flies; rows that the roof came down; the next "
        "bubble's colour; and column, row and colour of each bubble."
    ),
)
