"""`nitrogen info`: what a checkpoint holds."""

from __future__ import annotations

import argparse
import json

SUMMARY = "Prints a checkpoint's parts, parameters, configuration and provenance."
EXAMPLES = """\
  nitrogen info ng.pt
  nitrogen info ng_converted/ --json
  nitrogen info random:nitrogen          a preset, without any file"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from nitrogen_jax.weights.policies import add_vision_argument

    parser.add_argument("path", metavar="PATH", help="a checkpoint, or random:PRESET")
    add_vision_argument(parser)
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(args: argparse.Namespace) -> int:
    from nitrogen_jax import terminal
    from nitrogen_jax.training import rules as training_rules
    from nitrogen_jax.weights import checkpoint, meta, policies, rules

    if args.path.startswith(policies.RANDOM):
        described = meta.Meta(policies.preset(args.path, args.vision))
        leaves = rules.flatten(checkpoint.shapes(described))
    else:
        with terminal.progress(f"reading {args.path}", None, "bytes") as advance:
            loaded = checkpoint.load(args.path, args.vision, advance)
        described, leaves = loaded.meta, rules.flatten(loaded.params)
    parts: dict[str, list] = {}
    for path, leaf in leaves.items():
        parts.setdefault(path.split("/")[0], []).append(leaf)
    counts = {name: (len(group), sum(x.size for x in group)) for name, group in parts.items()}
    total = (len(leaves), sum(leaf.size for leaf in leaves.values()))
    trainable = {
        "as the original": training_rules.count(leaves, training_rules.ORIGINAL_TRAINABLE),
        "tower frozen": training_rules.count(leaves, training_rules.VISION_FROZEN),
    }
    data = meta.to_json(described)
    if args.json:
        data |= {
            "parts": {k: {"tensors": t, "parameters": p} for k, (t, p) in counts.items()},
            "tensors": total[0],
            "parameters": total[1],
            "notices": list(described.notices),
        }
        if described.kind == "policy":
            data["trainable"] = trainable
        terminal.out().print(json.dumps(data), markup=False)
        return 0
    screen = terminal.out()
    rows = [(name, f"{t:,}", f"{p:,}") for name, (t, p) in counts.items()]
    rows.append(("all", f"{total[0]:,}", f"{total[1]:,}"))
    screen.print(terminal.table(args.path, ("part", "tensors>", "parameters>"), rows))
    facts = [(f"config.{k}", v) for k, v in _flat(data["config"])]
    if described.kind == "policy":
        facts += [(f"trainable, {rule}", f"{number:,}") for rule, number in trainable.items()]
        facts += [("action shift", described.config.action_shift), ("time", data["time"])]
        games = described.games or {}
        facts += [("games", ", ".join(f"{k}={v}" for k, v in games.items()) or "none named")]
    facts += [("step", described.step), ("epoch", described.epoch)]
    facts += [(f"provenance.{k}", v) for k, v in _flat(dict(described.provenance))]
    screen.print(terminal.table("", ("field", "value"), facts))
    for notice in described.notices:
        screen.print(f"notice: {notice}", markup=False)
    return 0


def _flat(data: dict, prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for name, value in data.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, value))
    return rows
