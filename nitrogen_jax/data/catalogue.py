"""The samples of some data sets: their indices, their groups, the order over all of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import numpy as np

from nitrogen_jax.data import control, order, window_index
from nitrogen_jax.data.loader_config import REST, LoaderConfig
from nitrogen_jax.errors import NitrogenError


class Catalogue:
    """The indices of the data sets, and the order over all of their samples."""

    def __init__(self, config: LoaderConfig):
        self.config = config
        self.indices = [
            window_index.read_index(one.folder, one.split, one.index) for one in config.datasets
        ]
        steps = {index.options.steps for index in self.indices}
        if len(steps) > 1:
            raise NitrogenError(
                f"loader: the indices are made for different steps ({steps}): make them anew "
                "with nitrogen data index"
            )
        self.steps: control.Steps = steps.pop()
        self.samples = sum(len(index.samples) for index in self.indices)
        each = list(zip(config.datasets, self.indices, strict=True))
        empty = [one for one, index in each if one.weight and not len(index.samples)]
        if empty or not self.samples:
            names = ", ".join(f"{one.folder} ({one.split})" for one in empty or config.datasets)
            raise NitrogenError(f"loader: no sample of {names} has passed the filters")
        found = sorted({name for index in self.indices for name in index.game_names})
        self.games = tuple(found) if config.games is None else tuple(config.games)
        self._group()

    def _group(self) -> None:
        """Sorts the chunks into groups, each with a weight of its own."""
        chunks = [
            np.stack([np.full(len(index.games), at), np.arange(len(index.games))], 1)
            for at, index in enumerate(self.indices)
        ]
        flat = np.concatenate(chunks, dtype=np.int32)
        counts = np.concatenate([np.diff(index.offsets) for index in self.indices])
        keys, weights = self._keys(flat)
        self.chunks, runs, used = {}, {}, {}
        for key in np.unique(keys).tolist():
            here = keys == key
            if weights[key] == 0 or not counts[here].sum():
                continue
            self.chunks[key] = flat[here]
            runs[key] = order.Runs(counts[here], self.config.shuffle, key)
            used[key] = weights[key]
        if not runs:
            raise NitrogenError("loader: no sample is left of what has a weight above 0")
        if self.config.epochs is None:
            self.order = order.Endless(runs, used, self.config.shuffle)
        else:
            self.order = order.Pass(runs[0], self.config.epochs)

    def _keys(self, flat: np.ndarray) -> tuple[np.ndarray, dict[int, float]]:
        """(C,) group of each chunk, and the weight of each group."""
        config, weights = self.config, self.config.game_weights
        if config.datasets[0].weight is not None:
            return flat[:, 0], {at: one.weight or 0.0 for at, one in enumerate(config.datasets)}
        if not weights:
            return np.zeros(len(flat), int), {0: 1.0}
        names = sorted(weights.keys() - {REST})
        known = {name for index in self.indices for name in index.game_names}
        unknown = sorted(set(names) - known)
        if unknown:
            some = ", ".join(sorted(known)[:20])
            raise NitrogenError(f"loader: no sample of game {unknown[0]!r} is there; of {some}")
        place = {name: at for at, name in enumerate(names)}
        keys = [
            np.array([place.get(name, len(names)) for name in index.game_names], int)[index.games]
            for index in self.indices
        ]
        found = {at: float(weights[name]) for name, at in place.items()}
        return np.concatenate(keys), {**found, len(names): float(weights.get(REST, 0.0))}

    @property
    def fingerprint(self) -> str:
        config = asdict(self.config)
        del config["batch"]
        for one in config["datasets"]:
            del one["folder"]  # a moved folder holds the same samples
        parts = [str(order.VERSION), json.dumps(config, sort_keys=True, default=str)]
        for index in self.indices:
            about = {key: index.about[key] for key in ("steps", "filters", "samples")}
            digest = hashlib.sha256(index.samples)
            digest.update(index.offsets)
            videos = index.table["video_id"].combine_chunks().dictionary_encode()
            digest.update(json.dumps(videos.dictionary.to_pylist()).encode())
            digest.update(videos.indices.to_numpy())
            digest.update(index.numbers["start_frame"])
            parts += [json.dumps(about, sort_keys=True), digest.hexdigest()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
