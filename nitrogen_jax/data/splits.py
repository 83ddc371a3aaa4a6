"""Which split a video belongs to: all of it, always the same one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nitrogen_jax.errors import NitrogenError

TRAIN, HOLDOUT = "train", "holdout"


@dataclass(frozen=True)
class Splits:
    """How videos are divided.

    Attributes:
        shares: split -> share of the videos, for all splits but "train", which gets the rest.
        holdout_games: videos with any of these games are the split "holdout".
        seed: of the order in which videos are drawn.
    """

    shares: Mapping[str, float]
    holdout_games: tuple[str, ...] = ()
    seed: int = 0

    def check(self) -> Splits:
        """Returns itself; raises one sentence where a split makes no sense."""
        for name, share in self.shares.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in (TRAIN, HOLDOUT, "all"):
                raise NitrogenError(
                    f"split {name!r}: a name of small letters, digits and _ is needed, other than "
                    f"{TRAIN}, {HOLDOUT} and all"
                )
            if not 0 <= share < 1:
                raise NitrogenError(f"split {name}: its share is {share}, where 0 <= share < 1")
        if sum(self.shares.values()) >= 1:
            raise NitrogenError(
                f"splits {', '.join(self.shares)}: their shares sum to "
                f"{sum(self.shares.values()):g}, where something must be left for {TRAIN}"
            )
        return self


def divide(videos: Mapping[str, Collection[str]], how: Splits) -> dict[str, str]:
    """Video id -> split.

    Videos are drawn by a hash of seed and id, so that the order in which they are listed does not
    matter. Each split with a share gets at least one video; where there are too few, "train" comes
    first, and then the splits in their order.

    Args:
        videos: video id -> the games in it.
    """
    how.check()
    known = {game for games in videos.values() for game in games}
    unknown = sorted(set(how.holdout_games) - known)
    if unknown:
        some = ", ".join(sorted(known)[:20])
        raise NitrogenError(f"game {unknown[0]!r} to hold out has no video; there are {some}")
    held = {video for video, games in videos.items() if set(games) & set(how.holdout_games)}
    rest = sorted(videos.keys() - held, key=lambda video: _rank(how.seed, video))
    split = dict.fromkeys(held, HOLDOUT)
    begin, shares = 0, {name: share for name, share in how.shares.items() if share}
    for number, (name, share) in enumerate(shares.items(), 1):
        most = len(rest) - 1 - begin  # one is left for "train",
        fair = max(most - (len(shares) - number), 1)  # and one for each of the splits to come
        end = begin + max(min(max(round(share * len(rest)), 1), fair, most), 0)
        split |= dict.fromkeys(rest[begin:end], name)
        begin = end
    return split | dict.fromkeys(rest[begin:], TRAIN)


def _rank(seed: int, video: str) -> bytes:
    return hashlib.sha256(f"{seed}/{video}".encode()).digest()
