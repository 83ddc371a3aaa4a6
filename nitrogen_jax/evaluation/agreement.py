"""What a person said of episodes, and how far the judges agree with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.rollout import FAILURE, SUCCESS

FORMAT, VERDICTS = "nitrogen verdicts 1", "verdicts.json"
JUDGED = {SUCCESS: True, FAILURE: False}  # outcomes that are a judge's verdict


@dataclass(frozen=True)
class Said:
    """A person's verdict on one episode."""

    task: str
    episode: int
    success: bool
    note: str = ""


@dataclass(frozen=True)
class Agreement:
    """Episodes that both a person and a judge have decided, by what they said.

    Attributes:
        both_success: and the like: how many.
        unjudged: on which a person has a verdict and the judge none, as after a crash.
    """

    both_success: int = 0
    judge_only: int = 0  # the judge said success, the person failure
    person_only: int = 0
    both_failure: int = 0
    unjudged: int = 0

    @property
    def count(self) -> int:
        return self.both_success + self.judge_only + self.person_only + self.both_failure

    @property
    def agreed(self) -> int:
        return self.both_success + self.both_failure

    @property
    def share(self) -> float | None:
        """Of the episodes in which both say the same, 0..1; None without any."""
        return self.agreed / self.count if self.count else None

    @property
    def kappa(self) -> float | None:
        """Cohen's: 1 where they always agree, 0 where as often as by chance.

        None where that cannot be told: both always say one and the same.
        """
        judge = self.both_success + self.judge_only, self.person_only + self.both_failure
        person = self.both_success + self.person_only, self.judge_only + self.both_failure
        # Both in units of 1 / count**2, so that they are exact.
        chance = judge[0] * person[0] + judge[1] * person[1]
        most = self.count**2
        return None if chance == most else (self.agreed * self.count - chance) / (most - chance)

    def sentence(self) -> str:
        """All of it in words."""
        more = f" {self.unjudged} more of episodes that the judge did not decide."
        more = more if self.unjudged else ""
        if self.share is None:
            return f"No verdict of the judge is confirmed or overridden yet.{more}"
        chance = (
            "Cohen's kappa cannot be told: both always say the same"
            if self.kappa is None
            else f"Cohen's kappa {self.kappa:.2f}"
        )
        return (
            f"The judge agrees with a person on {self.agreed} of {self.count} "
            f"{'episode' if self.count == 1 else 'episodes'} ({self.share:.1%}), {chance}.{more}"
        )

    def to_json(self) -> dict[str, Any]:
        """Counts, share and kappa."""
        return {**vars(self), "count": self.count, "share": self.share, "kappa": self.kappa}


def agreement(said: Iterable[Said], outcomes: Mapping[tuple[str, int], str]) -> Agreement:
    """Compares verdicts with outcomes by (task, episode)."""
    counts = dict.fromkeys(Agreement.__dataclass_fields__, 0)
    for one in said:
        if (one.task, one.episode) not in outcomes:
            raise NitrogenError(
                f"there is a verdict on episode {one.episode} of {one.task}, which was not played"
            )
        judge = JUDGED.get(outcomes[one.task, one.episode])
        name = {
            (True, True): "both_success",
            (True, False): "judge_only",
            (False, True): "person_only",
            (False, False): "both_failure",
        }.get((judge, one.success), "unjudged")
        counts[name] += 1
    return Agreement(**counts)


def read(path: str | Path, created: object = None) -> list[Said]:
    """The verdicts of a file that the report's page has exported.

    Args:
        created: when the evaluation was made, as in its eval.json: a file that says that it is of
            another one is refused. None: of any.
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise NitrogenError(f"verdicts {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise NitrogenError(f"verdicts {path} are no JSON: {error}") from None
    try:
        said = parse(content)
    except NitrogenError as error:
        raise NitrogenError(f"verdicts {path}: {error}") from None
    of = content.get("created", created)
    if created is not None and of != created:
        raise NitrogenError(
            f"verdicts {path} are of the evaluation of {of}, where those of {created} are needed"
        )
    return said


def of_folder(folder: Path, created: object = None) -> list[Said]:
    """The verdicts that lie in a folder of results; none where there is no such file."""
    path = folder / VERDICTS
    return read(path, created) if path.exists() else []


def parse(content: Any) -> list[Said]:
    """The verdicts of such a file's content."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise NitrogenError(f"the format is not {FORMAT!r}")
    listed = content.get("verdicts")
    if not isinstance(listed, list):
        raise NitrogenError("there is no list of verdicts")
    found: dict[tuple[str, int], Said] = {}
    for number, one in enumerate(listed):
        said = _said(one)
        if said is None:
            raise NitrogenError(
                f"verdict {number} is {one!r:.80}, where task, episode (0, 1, ...), success "
                "(true or false) and perhaps a note are needed"
            )
        if (said.task, said.episode) in found:
            raise NitrogenError(f"there are two verdicts on episode {said.episode} of {said.task}")
        found[said.task, said.episode] = said
    return list(found.values())


def _said(one: Any) -> Said | None:
    if not isinstance(one, dict):
        return None
    task, episode, success = (one.get(name) for name in ("task", "episode", "success"))
    note = one.get("note") or ""
    good = (
        isinstance(task, str)
        and type(episode) is int
        and episode >= 0
        and isinstance(success, bool)
        and isinstance(note, str)
    )
    return Said(task, episode, success, note) if good else None
