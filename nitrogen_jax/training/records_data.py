"""Records as the data of a run: which folders, which samples, and that they fit the policy."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nitrogen_jax.data import records, window_index
from nitrogen_jax.data.control import Steps
from nitrogen_jax.data.loader import Dataset, Loader, LoaderConfig, Shuffle, position_of
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.training.policy_task import PolicyTask

HELD_OUT = "val"  # what a build calls the split

log = logging.getLogger(__name__)

SAME = 0.01  # rates that differ by less are measured or rounded differently


@dataclass(frozen=True)
class RecordsData:
    """Which samples a run sees.

    Attributes:
        records: a folder of records, as `nitrogen data build` makes it.
        index: which of its indices.
        split: what is trained on.
        validation: the split that is held out; None: nothing. A folder need not have "val".
        datasets: several folders, splits or indices with weights, in place of `records`.
        held_out: the same of what is held out.
        game_weights: game -> its share of the samples; "*" is all others.
        workers: processes of each host that read and decode; 0: a thread.
        shuffle: how far samples are mixed; its seed is the run's.
    """

    records: str | None = None
    index: str = window_index.DEFAULT
    split: str = "train"
    validation: str | None = HELD_OUT
    datasets: tuple[Dataset, ...] = ()
    held_out: tuple[Dataset, ...] = ()
    game_weights: dict[str, float] | None = None
    workers: int = 0
    shuffle: Shuffle = field(default_factory=Shuffle)

    def fit(self, task: PolicyTask) -> PolicyTask:
        """The task with the names of its games and the control rate, if the data fits it."""
        config = self._loader(task, 1)
        with Loader(config) as found:
            rate = found.steps.rate or self._rate()
            wanted = _needed(task, found.steps, rate)
            _check_steps(found, wanted)
            next(found)  # complains where pictures have another size
        held_out = self._held_out()
        if held_out:
            with Loader(dataclasses.replace(config, datasets=held_out, game_weights=None)) as one:
                _check_steps(one, wanted)
                next(one)
        elif self.validation is not None and not self.datasets and jax.process_index() == 0:
            log.warning(
                "%s has no samples in split %s: nothing is held out, and there is no validation",
                *(self.records, self.validation),
            )
        task = dataclasses.replace(task, control_rate=rate)
        if task.policy.games is None:
            return task.check()
        return task.with_games(found.games).check()

    def open(
        self,
        task: PolicyTask,
        batch: int,
        *,
        seed: int,
        host: int = 0,
        hosts: int = 1,
        state: Mapping[str, Any] | None = None,
    ) -> Loader:
        """An endless stream of the training samples."""
        shuffle = dataclasses.replace(self.shuffle, seed=seed)
        config = dataclasses.replace(self._loader(task, batch), shuffle=shuffle)
        position = 0 if state is None else position_of(state, config)
        return Loader(config, workers=self.workers, host=host, hosts=hosts, position=position)

    def open_once(
        self, task: PolicyTask, batch: int, *, held_out: bool, host: int = 0, hosts: int = 1
    ) -> Loader | None:
        """One pass over what is held out, or over what is trained on; None if nothing is."""
        config = self._loader(task, batch)
        if held_out:
            datasets = self._held_out()
            if not datasets:
                return None
            config = dataclasses.replace(config, datasets=datasets)
        shuffle = dataclasses.replace(self.shuffle, seed=0)
        config = dataclasses.replace(config, shuffle=shuffle, epochs=1, game_weights=None)
        bare = tuple(dataclasses.replace(one, weight=None) for one in config.datasets)
        config = dataclasses.replace(config, datasets=bare)
        return Loader(config, workers=0, host=host, hosts=hosts)

    def _training(self) -> tuple[Dataset, ...]:
        if self.datasets:
            if self.records is not None:
                raise NitrogenError("data: records and datasets are both given: give one of them")
            return self.datasets
        if self.records is None:
            raise NitrogenError("data: no records are given: add --data.records=FOLDER")
        return (Dataset(self.records, self.split, self.index),)

    def _held_out(self) -> tuple[Dataset, ...]:
        if self.held_out or self.datasets or self.validation is None:
            return self.held_out
        one = Dataset(self.records, self.validation, self.index)
        # A split that was asked for by its name has to be there.
        return (one,) if self.validation != HELD_OUT or _has_samples(one) else ()

    def _loader(self, task: PolicyTask, batch: int) -> LoaderConfig:
        cfg = task.policy
        return LoaderConfig(
            datasets=self._training(),
            batch=batch,
            frames=cfg.frames,
            spacing=cfg.frame_spacing,
            size=cfg.vision.image_size,
            games=task.games,
            game_weights=self.game_weights,
            shuffle=self.shuffle,
        )

    def _rate(self) -> float | None:
        """Hz of the recordings, where they agree: then it is that of the actions, too."""
        indices = (window_index.read_index(o.folder, o.split, o.index) for o in self._training())
        rates = np.concatenate([index.numbers["rate"] for index in indices])
        low, high = float(rates.min()), float(rates.max())
        if high <= low * (1 + SAME):
            return round(float(np.median(rates)), 3)
        if jax.process_index() == 0:
            log.warning(
                "the recordings have %.4g to %.4g frames per second, and the policy predicts a "
                "step for each frame: nitrogen data index --control-rate makes them the same",
                *(low, high),
            )
        return None


def _needed(task: PolicyTask, steps: Steps, rate: float | None) -> Steps:
    """The actions that the policy predicts; `steps` are those of the data, `rate` is theirs."""
    cfg, wanted = task.policy, task.control_rate
    same = wanted is None or (rate is not None and abs(rate - wanted) <= SAME * wanted)
    return Steps(cfg.horizon, cfg.action_shift, steps.rate if same else wanted)


def _check_steps(found: Loader, wanted: Steps) -> None:
    """Raises where the actions of an index are not those that the policy predicts."""
    if found.steps == wanted:
        return
    one = found.config.datasets[0]
    about = window_index.read_index(one.folder, one.split, one.index).options
    flags = window_index.arguments(dataclasses.replace(about, steps=wanted))
    told = ", ".join(
        f"{name} {_told(getattr(found.steps, name))} where {_told(getattr(wanted, name))} is needed"
        for name in ("horizon", "shift", "rate")
        if getattr(found.steps, name) != getattr(wanted, name)
    )
    command = " ".join(["nitrogen data index", shlex.quote(one.folder), "--name NAME", *flags])
    raise NitrogenError(
        f"data: index {one.index!r} of {one.folder} ({one.split}) has actions of {told}: "
        f"{command} makes one that fits, for --data.index=NAME"
    )


def _told(value: float | None) -> str:
    return "of the recording" if value is None else f"{value:g}"


def _has_samples(one: Dataset) -> bool:
    """Whether there is such a split, and anything in it."""
    there = window_index.index_path(Path(one.folder), one.split, one.index).is_file()
    if not there:
        return one.split in records.splits(one.folder)  # the index is missing, and can be made
    return len(window_index.read_index(one.folder, one.split, one.index).samples) > 0
