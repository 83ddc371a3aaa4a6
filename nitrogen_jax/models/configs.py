"""Sizes of the networks: frozen dataclasses, and one check that they fit.

An *architecture* (`PolicyConfig`) says what the parameters are and travels in every checkpoint.
A `Compute` says how to run it on the machine at hand and never does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nitrogen_jax.errors import NitrogenError


@dataclass(frozen=True)
class VisionConfig:
    """A SigLIP 2 tower of fixed resolution. Sizes in pixels, tokens and channels."""

    name: str = "google/siglip2-large-patch16-256"
    image_size: int = 256
    patch_size: int = 16
    width: int = 1024
    depth: int = 24
    heads: int = 16
    mlp: int = 4096
    eps: float = 1e-6

    @property
    def tokens(self) -> int:
        """Tokens per frame; pixels beyond the last whole patch are not looked at."""
        return (self.image_size // self.patch_size) ** 2


@dataclass(frozen=True)
class MixerConfig:
    """The bidirectional transformer over the context."""

    depth: int = 4
    heads: int = 16
    head_dim: int = 64
    dropout: float = 0.2
    final_dropout: bool = True
    attention_bias: bool = True
    affine_norm: bool = True
    activation: str = "gelu-approximate"
    eps: float = 1e-5

    @property
    def width(self) -> int:
        return self.heads * self.head_dim


@dataclass(frozen=True)
class DiTConfig:
    """The denoiser. Even blocks attend to the context; odd ones to the actions if `interleave`."""

    depth: int = 8
    heads: int = 16
    head_dim: int = 64
    output_dim: int = 1024
    dropout: float = 0.2
    final_dropout: bool = True
    attention_bias: bool = True
    affine_norm: bool = False
    activation: str = "gelu-approximate"
    eps: float = 1e-5
    interleave: bool = True
    cross_width: int | None = None  # width that keys and values are made from; None: its own

    @property
    def width(self) -> int:
        return self.heads * self.head_dim

    def is_cross(self, index: int) -> bool:
        """Whether block `index` attends to the context."""
        return index % 2 == 0 or not self.interleave


@dataclass(frozen=True)
class PolicyConfig:
    """The whole policy: frames (B, F, H, W, 3) and game -> actions (B, horizon, action_dim)."""

    vision: VisionConfig = field(default_factory=VisionConfig)
    mixer: MixerConfig = field(default_factory=MixerConfig)
    dit: DiTConfig = field(default_factory=DiTConfig)
    width: int = 1024  # of an action token
    action_dim: int = 25
    horizon: int = 18  # actions in a chunk
    max_positions: int = 1024  # rows of the learned position embedding; the first `horizon` serve
    position_embedding: bool = True
    embodiments: int = 1
    games: int | None = None  # rows of the game embedding, row 0 being "no game"; None: no such
    context_length: int = 256  # context positions; filled from the right, zeros on the left
    frames: int = 1
    frame_spacing: int = 18  # control steps between two frames of the context
    action_shift: int = 3  # control steps between the newest frame and the first action
    layout: str = "buttons_first"
    timestep_buckets: int = 1000
    euler_steps: int = 16
    time_alpha: float = 1.6  # t = time_scale * (1 - Beta(time_alpha, time_beta))
    time_beta: float = 0.8
    time_scale: float = 0.999

    def check(self) -> PolicyConfig:
        """Returns itself; raises one sentence naming the first pair of sizes that do not fit."""
        for problem in _problems(self):
            raise NitrogenError(problem)
        return self


@dataclass(frozen=True)
class Compute:
    """How to run a network here: matmul type, rematerialisation, attention implementation."""

    dtype: str = "float32"  # of activations and matmuls; parameters stay what they are
    remat: bool = False  # recompute each block's inside in the backward pass
    # One program for all blocks of a kind, looped over: compile time does not grow with depth.
    # Their parameters are stacked at each use, so it is for training rather than for sampling.
    scan: bool = False
    attention: str = "xla"  # or "cudnn" (bfloat16 on NVIDIA GPUs)
    # "highest" makes fp32 products exact where the default is a reduced one (TPU, GPU TF32)
    precision: str | None = None


FLOAT32 = Compute(precision="highest")


def _problems(cfg: PolicyConfig):
    vision, mixer, dit = cfg.vision, cfg.mixer, cfg.dit
    sizes = {
        **{f"vision.{k}": getattr(vision, k) for k in ("image_size", "patch_size", "width")},
        **{f"vision.{k}": getattr(vision, k) for k in ("depth", "heads", "mlp")},
        **{f"mixer.{k}": getattr(mixer, k) for k in ("heads", "head_dim")},
        **{f"dit.{k}": getattr(dit, k) for k in ("depth", "heads", "head_dim", "output_dim")},
    }
    for key in ("width", "action_dim", "horizon", "embodiments", "frames", "context_length"):
        sizes[key] = getattr(cfg, key)
    for key in ("euler_steps", "timestep_buckets"):
        sizes[key] = getattr(cfg, key)
    for key, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield f"config: {key} is {value!r}, where a whole number of at least 1 is needed"
    if vision.width % vision.heads:
        yield (
            f"config: vision.width {vision.width} is not a multiple of vision.heads {vision.heads}"
        )
    if vision.patch_size > vision.image_size:
        yield (
            f"config: vision.patch_size {vision.patch_size} is larger than "
            f"vision.image_size {vision.image_size}"
        )
    if mixer.depth and mixer.width != vision.width:
        yield (
            f"config: mixer.heads * mixer.head_dim is {mixer.width} and must equal "
            f"vision.width {vision.width}"
        )
    if dit.width != cfg.width:
        yield f"config: dit.heads * dit.head_dim is {dit.width} and must equal width {cfg.width}"
    if (dit.cross_width or dit.width) != vision.width:
        yield (
            f"config: the denoiser's cross-attention takes {dit.cross_width or dit.width} channels "
            f"(dit.cross_width) and the context has vision.width {vision.width}"
        )
    if dit.output_dim != cfg.width:
        yield (
            f"config: dit.output_dim {dit.output_dim} must equal width {cfg.width}, "
            "which the action decoder takes"
        )
    if cfg.position_embedding and cfg.horizon > cfg.max_positions:
        yield f"config: horizon {cfg.horizon} is more than max_positions {cfg.max_positions}"
    if cfg.context_length < vision.tokens:
        yield (
            f"config: context_length {cfg.context_length} has no room for one frame of "
            f"{vision.tokens} tokens"
        )
    if cfg.games is not None and cfg.games < 1:
        yield f"config: games is {cfg.games}, where None or at least 1 is needed"
    if cfg.layout not in ("buttons_first", "sticks_first"):
        yield f"config: layout {cfg.layout!r} is neither 'buttons_first' nor 'sticks_first'"
    if cfg.width % 2:
        yield f"config: width {cfg.width} is odd, and half of it must hold sines"
    for part, activation in (("mixer", mixer.activation), ("dit", dit.activation)):
        if activation not in ("gelu-approximate", "gelu"):
            yield (
                f"config: {part}.activation {activation!r} is not one of 'gelu-approximate', 'gelu'"
            )
