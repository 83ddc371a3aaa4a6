"""Which parameters train: a name, or explicit (path regex, trains) rules -> checked rules.

none             everything trains, also what no loss reaches (the tower's pooling head)
original         the original's rule: the tower's twelfth layer and its pooling head are frozen
vision           the whole tower is frozen
all_but_last:K   of the tower only the last K layers and the norm after them train; the mixer,
                 the denoiser and the rest train in full. For fine-tuning: what looks at pixels
                 is general, what reads a game's screen is late
head_only        only what meets actions trains: their encoder and decoder, the position
                 embedding, and the game embedding where there is one
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training.rules import ORIGINAL_TRAINABLE, VISION_FROZEN, Rules, decide
from nitrogen_jax.weights.rules import flatten

if TYPE_CHECKING:
    from nitrogen_jax.training.lora import Lora

Freeze = str | tuple[tuple[str, bool], ...]

_ACTIONS = r"(action_encoder|action_decoder)/.*|position_embedding|game_embedding"
_NAMED: Mapping[str, Rules] = {
    "none": ((".*", True),),
    "original": ORIGINAL_TRAINABLE,
    "vision": VISION_FROZEN,
    "head_only": ((_ACTIONS, True), (".*", False)),
}
_LAST = "all_but_last"
NAMES = ("none", "original", "vision", f"{_LAST}:K", "head_only")


def freeze_rules(
    spec: Freeze, params: Mapping[str, Any] | Iterable[str], lora: Lora | None = None
) -> Rules:
    """The (path regex, trains) rules that `spec` means for these parameters.

    Args:
        spec: one of the names above, or rules of one's own, of which the first match decides.
        params: the parameters, nested or flat, or their paths alone; adapters included.
        lora: where there are adapters: they and `lora.also` train, and nothing else.
    """
    paths = list(flatten(params) if isinstance(params, Mapping) else params)
    if lora is not None:
        if spec != "none":
            raise NitrogenError(
                f"freeze is {spec!r}, and with lora all but the adapters is frozen: name what else "
                "trains in lora.also and leave freeze at 'none'"
            )
        also = tuple((pattern, True) for pattern in lora.also)
        check_patterns(lora.also, paths, "lora.also")
        return _checked(((r"lora/.*", True), *also, (".*", False)), paths, "lora")
    if isinstance(spec, str):
        # NOTE: what a name freezes may not be there: a small tower has no twelfth layer.
        return _checked(_named(spec, paths), paths, f"freeze {spec!r}", all_match=False)
    return _checked(tuple(spec), paths, "freeze")


def check_patterns(patterns: Iterable[str], paths: Iterable[str], place: str) -> None:
    """Raises unless every regex can be read and matches the whole of at least one path."""
    paths = list(paths)
    for pattern in patterns:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise NitrogenError(f"{place}: {pattern!r} is no regular expression: {error}") from None
        if not any(compiled.fullmatch(path) for path in paths):
            near = difflib.get_close_matches(pattern, paths, 1, 0)
            such = f", such as {near[0]!r}" if near else ""
            raise NitrogenError(
                f"{place}: the pattern {pattern!r} matches no parameter; it must match the whole "
                f"of a path{such}"
            )


def _named(name: str, paths: list[str]) -> Rules:
    base, colon, count = name.partition(":")
    if base == _LAST and colon:
        return _all_but_last(name, count, paths)
    if name in _NAMED:
        return _NAMED[name]
    near = difflib.get_close_matches(base, [known.partition(":")[0] for known in NAMES], 1)
    hint = next((f"; did you mean {n!r}?" for n in NAMES if near and n.startswith(near[0])), "")
    raise NitrogenError(
        f"freeze {name!r} is not known: use {', '.join(NAMES)}, or (path regex, trains) rules{hint}"
    )


def _all_but_last(name: str, count: str, paths: list[str]) -> Rules:
    found = (re.match(r"vision/layers_(\d+)/", path) for path in paths)
    depth = len({match[1] for match in found if match})
    # NOTE: isdigit alone is true of superscripts, which int does not read
    last = int(count) if count.isascii() and count.isdigit() else 0
    if not 1 <= last <= depth:
        raise NitrogenError(
            f"freeze {name!r}: the tower has {depth} layers, so K is a whole number from 1 "
            f"to {depth}; 'vision' freezes it whole"
        )
    trained = "|".join(str(index) for index in range(depth - last, depth))
    return (
        (rf"vision/layers_({trained})/.*", True),
        (r"vision/post_norm/.*", True),
        (r"vision/.*", False),
        (".*", True),
    )


def _checked(rules: Rules, paths: list[str], place: str, all_match: bool = True) -> Rules:
    """`rules`, if each of them matches something, all is matched, and something trains."""
    if all_match:
        check_patterns([pattern for pattern, _ in rules], paths, place)
    try:
        trains = [bool(decide(path, rules)) for path in paths]
    except LookupError as error:
        raise NitrogenError(f"{place}: {error}") from None
    if not any(trains):
        raise NitrogenError(f"{place}: nothing is left that trains: {list(rules)}")
    return rules
