"""The original's `ckpt_config` <-> our `PolicyConfig`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.models.configs import DiTConfig, MixerConfig, PolicyConfig, VisionConfig
from nitrogen_jax.models.presets import vision_preset
from nitrogen_jax.weights.meta import check_sizes
from nitrogen_jax.weights.rules import is_float

# Fields that say nothing about the network: read without a notice.
_IDLE = {
    "": {"experiment_name"},
    "model_cfg": {
        "model_type",
        "model_dtype",
        "tune_vision_tower",
        "tune_mm_projector",
        "tune_diffusion_model",
        "tune_multi_projector",
        "tune_vl_mixing",
    },
    "model_cfg.diffusion_model_cfg": {
        "num_embeds_ada_norm",
        "upcast_attention",
        "max_num_positional_embeddings",
        "compute_dtype",
    },
    "model_cfg.vl_self_attention_cfg": {
        "output_dim",
        "num_embeds_ada_norm",
        "upcast_attention",
        "max_num_positional_embeddings",
        "compute_dtype",
        "interleave_self_attention",
    },
    "tokenizer_cfg": {"tokenizer_id", "training", "use_action_mask", "game_mapping_cfg"},
    "modality_cfg": {"token_set"},
}

# Fields that must have one value, because the released code does nothing else with them.
_FIXED = {
    "model_cfg.add_view_embed": False,
    "model_cfg.diffusion_model_cfg.norm_type": "ada_norm",
    "model_cfg.diffusion_model_cfg.positional_embeddings": None,
    "model_cfg.vl_self_attention_cfg.norm_type": "layer_norm",
    "model_cfg.vl_self_attention_cfg.positional_embeddings": None,
    "modality_cfg.action_interleaving": False,
}


_SECTIONS = (
    "model_cfg",
    "model_cfg.diffusion_model_cfg",
    "model_cfg.vl_self_attention_cfg",
    "tokenizer_cfg",
    "modality_cfg",
)


class _Reader:
    """Takes fields out of a section and remembers which were taken."""

    def __init__(self, config: Mapping[str, Any], source: str):
        self.source, self.taken, self.sections = source, set(), {"": config}
        for path in _SECTIONS:
            parent, _, name = path.rpartition(".")
            section = self.sections[parent].get(name, {})
            if not isinstance(section, Mapping):
                raise NitrogenError(f"{source}: {path} is {section!r}, where a table is needed")
            self.sections[path] = section

    def get(self, path: str, default: Any, kind: type | tuple[type, ...] = int) -> Any:
        self.taken.add(path)
        parent, _, name = path.rpartition(".")
        value = self.sections[parent].get(name, default)
        if value is default:
            return value
        allowed = kind if isinstance(kind, tuple) else (kind,)
        if isinstance(value, int) and not isinstance(value, bool) and float in allowed:
            value = float(value) if abs(value) < 2**53 else value
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            names = " or ".join(k.__name__ for k in allowed)
            raise NitrogenError(f"{self.source}: {path} is {value!r}, where {names} is needed")
        return value


def to_policy_config(
    config: Mapping[str, Any],
    *,
    vision: VisionConfig | None = None,
    games: int | None = None,
    source: str = "ckpt_config",
) -> tuple[PolicyConfig, list[str]]:
    """The original's configuration -> ours, and a notice for each field that we do not know.

    Args:
        vision: the tower's sizes; None takes those of the preset that the configuration names.
        games: rows of the game embedding; the configuration does not say, the tensors do.
        source: what errors call the checkpoint.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("model_cfg"), Mapping):
        raise NitrogenError(f"{source}: ckpt_config has no model_cfg, so the sizes are not known")
    reader = _Reader(config, source)
    get = reader.get
    name = get("model_cfg.vision_encoder_name", "google/siglip2-large-patch16-256", str)
    vision = vision or _preset(name, source)
    stated = get("model_cfg.vision_hidden_size", vision.width)
    if stated != vision.width:
        raise NitrogenError(
            f"{source}: model_cfg.vision_hidden_size is {stated} and the tower {vision.name} has "
            f"width {vision.width}: give the tower's sizes with --vision FILE"
        )
    mixer, dit = "model_cfg.vl_self_attention_cfg.", "model_cfg.diffusion_model_cfg."
    default = PolicyConfig()

    def shared(prefix: str, of: Any) -> dict[str, Any]:
        return {
            "depth": get(prefix + "num_layers", of.depth),
            "heads": get(prefix + "num_attention_heads", of.heads),
            "head_dim": get(prefix + "attention_head_dim", of.head_dim),
            "dropout": get(prefix + "dropout", of.dropout, float),
            "final_dropout": get(prefix + "final_dropout", of.final_dropout, bool),
            "attention_bias": get(prefix + "attention_bias", of.attention_bias, bool),
            "affine_norm": get(prefix + "norm_elementwise_affine", of.affine_norm, bool),
            "activation": get(prefix + "activation_fn", of.activation, str),
            "eps": get(prefix + "norm_eps", of.eps, float),
        }

    horizon = get("model_cfg.action_horizon", default.horizon)
    _agree(reader, "tokenizer_cfg.action_horizon", "model_cfg.action_horizon", horizon)
    _agree(reader, "modality_cfg.action_per_chunk", "model_cfg.action_horizon", horizon)
    spacing = get("modality_cfg.frame_spacing", None)
    action_dim = get("model_cfg.action_dim", default.action_dim)
    _agree(reader, "tokenizer_cfg.max_action_dim", "model_cfg.action_dim", action_dim)
    _agree(reader, "tokenizer_cfg.num_visual_tokens_per_frame", "the tower's tokens", vision.tokens)
    policy = PolicyConfig(
        vision=vision,
        mixer=MixerConfig(**shared(mixer, default.mixer)),
        dit=DiTConfig(
            **shared(dit, default.dit),
            output_dim=get(dit + "output_dim", default.dit.output_dim),
            interleave=get(dit + "interleave_self_attention", False, bool),
            cross_width=get(dit + "cross_attention_dim", None),
        ),
        width=get("model_cfg.hidden_size", default.width),
        action_dim=action_dim,
        horizon=horizon,
        max_positions=get("model_cfg.max_seq_len", default.max_positions),
        position_embedding=get("model_cfg.add_pos_embed", True, bool),
        embodiments=get("model_cfg.max_num_embodiments", 1),
        games=games,
        context_length=get("tokenizer_cfg.max_sequence_length", 300),
        frames=get("modality_cfg.frame_per_sample", 1),
        frame_spacing=horizon if spacing is None else spacing,  # as the original has it
        action_shift=get("modality_cfg.action_shift", 1),
        layout="sticks_first" if get("tokenizer_cfg.old_layout", False, bool) else "buttons_first",
        timestep_buckets=get("model_cfg.num_timestep_buckets", default.timestep_buckets),
        euler_steps=get("model_cfg.num_inference_timesteps", default.euler_steps),
        time_alpha=get("model_cfg.noise_beta_alpha", default.time_alpha, float),
        time_beta=get("model_cfg.noise_beta_beta", default.time_beta, float),
        time_scale=get("model_cfg.noise_s", default.time_scale, float),
    )
    _check_fixed(reader)
    return check_sizes(policy, source), _unknown(reader)


def from_policy_config(
    policy: PolicyConfig, original: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Our configuration -> the original's; fields that we do not know come from `original`."""
    config: dict[str, Any] = copy.deepcopy(dict(original or {}))
    config.setdefault("experiment_name", "nitrogen_jax")

    def part(of: dict[str, Any], name: str) -> dict[str, Any]:
        of[name] = dict(of[name]) if isinstance(of.get(name), Mapping) else {}
        return of[name]

    mixer, dit = policy.mixer, policy.dit

    def shared(of: Any) -> dict[str, Any]:
        return {
            "num_layers": of.depth,
            "num_attention_heads": of.heads,
            "attention_head_dim": of.head_dim,
            "dropout": of.dropout,
            "final_dropout": of.final_dropout,
            "attention_bias": of.attention_bias,
            "activation_fn": of.activation,
            "norm_eps": of.eps,
            "norm_elementwise_affine": of.affine_norm,
            "positional_embeddings": None,
        }

    model = part(config, "model_cfg")
    model.setdefault("model_type", "nitrogen")
    model.update(
        add_pos_embed=policy.position_embedding,
        hidden_size=policy.width,
        max_seq_len=policy.max_positions,
        action_dim=policy.action_dim,
        action_horizon=policy.horizon,
        noise_beta_alpha=policy.time_alpha,
        noise_beta_beta=policy.time_beta,
        noise_s=policy.time_scale,
        num_timestep_buckets=policy.timestep_buckets,
        num_inference_timesteps=policy.euler_steps,
        max_num_embodiments=policy.embodiments,
        vision_encoder_name=_encoder_name(policy.vision, model),
        vision_hidden_size=policy.vision.width,
    )
    section = part(model, "diffusion_model_cfg")
    section.update(
        shared(dit),
        output_dim=dit.output_dim,
        norm_type="ada_norm",
        interleave_self_attention=dit.interleave,
        cross_attention_dim=dit.cross_width,
    )
    section = part(model, "vl_self_attention_cfg")
    section.update(shared(mixer))
    section = part(config, "tokenizer_cfg")
    section.setdefault("game_mapping_cfg", None)
    section.update(
        num_visual_tokens_per_frame=policy.vision.tokens,
        max_action_dim=policy.action_dim,
        max_sequence_length=policy.context_length,
        action_horizon=policy.horizon,
        old_layout=policy.layout == "sticks_first",
    )
    section = part(config, "modality_cfg")
    section.update(
        frame_per_sample=policy.frames,
        frame_spacing=policy.frame_spacing,
        action_per_chunk=policy.horizon,
        action_shift=policy.action_shift,
        action_interleaving=False,
    )
    return config


def plain(value: Any) -> Any:
    """A value from a `.pt` as JSON has it: tuples become lists, tensors lists or numbers."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return (value.astype(np.float64) if is_float(value.dtype) else value).tolist()
    return value


def _encoder_name(vision: VisionConfig, model: Mapping[str, Any]) -> str:
    """What the original is to fetch: a name that only a file of sizes has means nothing to it."""
    try:
        return vision_preset(vision.name).name
    except NitrogenError:
        return model.get("vision_encoder_name", vision.name)


def _agree(reader: _Reader, path: str, other: str, value: int) -> None:
    found = reader.get(path, value)
    if found != value:
        raise NitrogenError(
            f"{reader.source}: {path} is {found} and must equal {other}, which is {value}"
        )


def _preset(name: str, source: str) -> VisionConfig:
    try:
        return vision_preset(name)
    except NitrogenError as error:
        raise NitrogenError(
            f"{source}: model_cfg.vision_encoder_name: {error}, or give the tower's sizes with "
            "--vision FILE"
        ) from None


def _check_fixed(reader: _Reader) -> None:
    for path, wanted in _FIXED.items():
        value = reader.get(path, wanted, (object,))
        if type(value) is not type(wanted) or value != wanted:
            raise NitrogenError(
                f"{reader.source}: {path} is {value!r}, which is not supported; "
                f"it must be {wanted!r}"
            )


def _unknown(reader: _Reader) -> list[str]:
    notices = []

    def walk(node: Mapping[str, Any], path: str) -> None:
        for name, value in node.items():
            here = f"{path}.{name}" if path else str(name)
            if here in reader.taken or name in _IDLE.get(path, ()):
                continue
            if here in _SECTIONS:
                walk(value, here)
            else:
                notices.append(f"ckpt_config field {here} is not known and was ignored")

    walk(reader.sections[""], "")
    return notices
