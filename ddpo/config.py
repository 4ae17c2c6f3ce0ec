"""The configuration: its schema in code, and one strict call that decodes a YAML file with
overrides.

Scalars stay text until the schema decodes them by declared type, so `1e-4` is a number where a
number is declared and `no` is a word where a word is.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from ddpo.errors import ConfigError

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

Beta = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=STRICT)
class DiffusionPolicyConfig:
    """The denoising chain."""

    kind: Literal["diffusion"]
    """Which chain: `diffusion`."""
    model: str
    """`shapes` (embedded), a folder in diffusers' format, or a hub id."""
    sampler: Literal["ddim"] = "ddim"
    """The transition between latents."""
    num_steps: PositiveInt = 50
    """Denoising steps of a chain."""
    eta: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Weight of DDIM's noise; at 0 no step is an action."""
    guidance_scale: NonNegativeFloat = 5.0
    """Classifier-free guidance, as in diffusers: off at 1 and below."""
    resolution: PositiveInt | None = None
    """Pixels a side; the model's own when omitted."""


@dataclass(frozen=True, config=STRICT)
class LoraConfig:
    """Low-rank adapters; omit the section to train all weights."""

    rank: PositiveInt = 16
    """Rank of each adapter."""
    alpha: PositiveFloat | None = None
    """Adapter scale is alpha/rank; the rank when omitted."""
    target_modules: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    """Names of the layers that get one."""


@dataclass(frozen=True, config=STRICT)
class PromptsConfig:
    """Where prompts come from: exactly one of `set` and `file`."""

    set: str | None = None
    """A named set, such as `animals` or `shapes`."""
    file: Path | None = None
    """A text file with one prompt a line."""


@dataclass(frozen=True, config=STRICT)
class RewardFailuresConfig:
    """What to do with samples that a reward could not score. Never is one trained on as 0."""

    action: Literal["raise", "drop", "mean"] = "raise"
    """Stop the run; leave the sample out of the update; or give it the batch's mean."""
    limit: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of an iteration's samples that may fail before the run stops after all."""


@dataclass(frozen=True, config=STRICT)
class CombineConfig:
    """How several rewards make one number."""

    kind: Literal["sum", "normalised_sum", "product"] = "sum"
    """The weighted sum; the same of rewards that are standardised first, so that their scales do
    not decide; or the product of rewards that are at least 0, each to the power of its weight."""
    within: Literal["batch", "group"] = "batch"
    """Standardise over all samples of an iteration, or over the samples of each prompt."""


@dataclass(frozen=True, config=STRICT)
class ScoringConfig:
    """Under which conditions rewards are computed; none of this changes their numbers."""

    timeout: PositiveFloat | None = 600.0
    """Seconds that a reward may take for a batch before its samples count as failed; null for ever.
    """
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes, beside each process of the run, for rewards that compute in Python; 0 for none."""
    overlap: bool | None = None
    """Score a batch while the next is sampled; where the policy is not on the CPU when omitted."""
    cache: Path | None = None
    """File in which the numbers of deterministic rewards are kept by content; none when omitted."""
    cache_limit: Annotated[int, Field(ge=65536)] = 1 << 30
    """Bytes of that file; what was used longest ago leaves first."""


@dataclass(frozen=True, config=STRICT)
class _Algorithm:
    """What all policy-gradient algorithms share."""

    advantages: Literal["batch", "per_prompt", "group", "leave_one_out"] = "per_prompt"
    """The baseline: whole batch, running statistics per prompt, or the other samples of a prompt.
    """
    group_size: PositiveInt = 1
    """Samples of each prompt in an iteration."""
    buffer_size: PositiveInt = 32
    """Rewards remembered per prompt (per_prompt)."""
    min_count: PositiveInt = 16
    """Rewards a prompt needs before its own statistics are used (per_prompt)."""
    advantage_clip: PositiveFloat = 5.0
    """Advantages are clipped to ± this."""
    kl_coef: NonNegativeFloat = 0.0
    """Weight of the KL penalty to the reference policy; 0 makes no reference pass."""
    kl_target: PositiveFloat | None = None
    """Adapt `kl_coef` towards this KL (nats per action, mean over latent dimensions)."""
    kl_horizon: PositiveFloat = 10_000.0
    """Samples over which the adaptive coefficient moves."""


@dataclass(frozen=True, config=STRICT)
class DdpoConfig(_Algorithm):
    """DDPO-IS: clipped importance sampling."""

    kind: Literal["ddpo"] = "ddpo"
    """`ddpo`, `ddpo_sf` or `rwr`."""
    clip_range: PositiveFloat | None = None
    """Half-width of the ratio clip; 1e-4 when neither this nor `clip_nats` is given."""
    clip_nats: PositiveFloat | None = None
    """The same in nats of the whole action: divided by the number of latent dimensions."""


@dataclass(frozen=True, config=STRICT)
class DdpoSfConfig(_Algorithm):
    """DDPO-SF: the score function (REINFORCE)."""

    kind: Literal["ddpo_sf"] = "ddpo_sf"
    """`ddpo`, `ddpo_sf` or `rwr`."""


@dataclass(frozen=True, config=STRICT)
class RwrConfig(_Algorithm):
    """Reward-weighted regression on the chain's own actions."""

    kind: Literal["rwr"] = "rwr"
    """`ddpo`, `ddpo_sf` or `rwr`."""
    temperature: PositiveFloat = 1.0
    """Weights are exp(advantage/temperature), scaled to mean 1."""


def _weight_or_options(value: Any) -> Any:
    """A reward's weight as a number; a mapping of options is left to the reward's own signature."""
    if isinstance(value, Mapping):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(
            "a weight (a number) or a mapping such as {weight: 1.0, option: value}"
        ) from None


RewardSpec = Annotated[Any, BeforeValidator(_weight_or_options)]
AlgorithmConfig = Annotated[DdpoConfig | DdpoSfConfig | RwrConfig, Field(discriminator="kind")]


@dataclass(frozen=True, config=STRICT)
class TrainConfig:
    """Global numbers of the loop; what each process does in one pass is derived from them."""

    iterations: PositiveInt
    """Sample-score-train rounds."""
    samples_per_iteration: PositiveInt
    """Samples of one iteration, over all processes."""
    updates_per_iteration: PositiveInt = 1
    """Optimizer steps of one iteration."""
    learning_rate: PositiveFloat = 3e-4
    """Of AdamW, at its peak."""
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Shape after the warm-up."""
    warmup_updates: Annotated[int, Field(ge=0)] = 0
    """Updates of linear warm-up."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Of AdamW."""
    weight_decay: NonNegativeFloat = 1e-4
    """Of AdamW."""
    max_grad_norm: PositiveFloat = 1.0
    """Gradients are clipped to this norm."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the moving average of the weights, which is evaluated and saved; 0 for none."""
    mixed_precision: Literal["no", "fp16", "bf16"] | None = None
    """Autocast; accelerate's own configuration decides when omitted."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    micro_batch_size: PositiveInt | None = None
    """Most samples of a training pass per process; about 32 actions a pass when omitted."""
    actions_per_pass: PositiveInt = 1
    """Actions of a sample scored in one network pass."""
    sample_batch_size: PositiveInt = 64
    """Most samples of a sampling pass per process."""
    processes: PositiveInt | None = None
    """Processes that must be running; the run refuses to start with another number."""


@dataclass(frozen=True, config=STRICT)
class EvaluationConfig:
    """Held-out prompts, sampled with the same noise at every evaluation, and kept for the
    gallery.
    """

    every: PositiveInt = 10
    """Iterations between evaluations; the base and the last are always evaluated."""
    samples: Annotated[int, Field(ge=0)] = 16
    """Samples of an evaluation; 0 for none."""
    prompts: PromptsConfig | None = None
    """The run's own prompts when omitted."""


@dataclass(frozen=True, config=STRICT)
class CheckpointConfig:
    """When to save the whole state."""

    every: PositiveInt = 10
    """Iterations between checkpoints."""
    keep: PositiveInt = 2
    """Checkpoints kept, the newest."""


@dataclass(frozen=True, config=STRICT)
class Config:
    """One training run."""

    name: str
    """The run folder is <output_dir>/<name>."""
    policy: DiffusionPolicyConfig
    """The model and its chain."""
    prompts: PromptsConfig
    """What to train on."""
    rewards: Annotated[dict[str, RewardSpec], Field(min_length=1)]
    """name: weight, or name: {weight: 1.0, option: value}; see docs/rewards.md for more."""
    algorithm: AlgorithmConfig
    """The objective and its advantages."""
    train: TrainConfig
    """The loop."""
    output_dir: Path = Path("runs")
    """Where run folders go."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of everything random."""
    lora: LoraConfig | None = None
    """Adapters; all weights are trained when omitted."""
    watch: tuple[str, ...] | dict[str, RewardSpec] = ()
    """Rewards that are measured and never optimised."""
    combine: CombineConfig = CombineConfig()
    """From several rewards to one."""
    scoring: ScoringConfig = ScoringConfig()
    """Time, processes and cache of rewards."""
    reward_failures: RewardFailuresConfig = RewardFailuresConfig()
    """Samples that could not be scored."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Held-out samples."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """Saved state."""
    tracker: str = "none"
    """`none`, or a tracker that accelerate offers: tensorboard, wandb, …"""

    @property
    def run_folder(self) -> Path:
        """Where this run lives."""
        return self.output_dir / self.name


SCHEMA: TypeAdapter[Config] = TypeAdapter(Config)


class _TextLoader(yaml.SafeLoader):
    """YAML whose scalars stay text, but for null: types are the schema's business."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is given twice, which YAML would settle in silence."""
        keys = [key.value for key, _ in node.value]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            problem = f"{', '.join(twice)} is given twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


_TextLoader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Decode a YAML file with `section.key=value` overrides.

    Args:
        path: the YAML file.
        overrides: applied in order, on top of the file; values are YAML (`lora=null`, `watch=[a,
            b]`).

    Raises:
        ConfigError: the file cannot be read, or holds errors: all are reported at once, each with
            the key, the value and the remedy.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), ["is not YAML: it is not UTF-8 text"]) from error
    return parse_config(text, str(path), overrides)


def parse_config(text: str, source: str, overrides: Sequence[str] = ()) -> Config:
    """Decode the text of a YAML file; `source` is its name in messages.

    Raises:
        ConfigError: see `load_config`.
    """
    try:
        tree = yaml.load(text, _TextLoader) or {}
    except yaml.YAMLError as error:
        raise ConfigError(source, [f"is not YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(tree, dict):
        raise ConfigError(source, ["is not a mapping of sections (name:, policy:, train:, …)"])
    for override in overrides:
        _apply(tree, override, source)
    return decode_config(tree, source)


def decode_config(tree: Mapping[str, Any], source: str = "configuration") -> Config:
    """Decode a mapping, as YAML or JSON gives it.

    Raises:
        ConfigError: see `load_config`.
    """
    try:
        config = SCHEMA.validate_python(dict(tree))
    except ValidationError as error:
        problems = [_problem(detail, tree) for detail in error.errors(include_url=False)]
        raise ConfigError(source, problems) from error
    if problems := _contradictions(config):
        raise ConfigError(source, problems)
    return config


def config_tree(config: Config) -> dict[str, Any]:
    """The resolved configuration as plain JSON types; `decode_config` reads it back to an equal
    one.
    """
    return SCHEMA.dump_python(config, mode="json")


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML."""
    return yaml.safe_dump(config_tree(config), sort_keys=False, allow_unicode=True)


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Paths at which two configuration trees differ, such as `train.learning_rate`."""
    paths: list[str] = []
    for key in sorted(one.keys() | other.keys()):
        left, right = one.get(key), other.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            paths += differing_keys(left, right, f"{prefix}{key}.")
        elif left != right:
            paths.append(f"{prefix}{key}")
    return paths


def _apply(tree: dict[str, Any], override: str, source: str) -> None:
    """Set one `section.key=value` in the tree."""
    path, equals, text = override.partition("=")
    *sections, key = path.split(".")
    if not equals or not key or not all(sections):
        raise ConfigError(source, [f"override {override!r} is not of the form section.key=value"])
    node = tree
    for section in sections:
        node = (
            node.setdefault(section, {}) if node.get(section) is not None else _renew(node, section)
        )
        if not isinstance(node, dict):
            raise ConfigError(source, [f"override {override!r}: {section} is not a section"])
    try:
        node[key] = yaml.load(text, _TextLoader)
    except yaml.YAMLError as error:
        raise ConfigError(source, [f"override {override!r}: the value is not YAML"]) from error


def _renew(node: dict[str, Any], section: str) -> dict[str, Any]:
    """A fresh section where there was none, or null."""
    node[section] = {}
    return node[section]


def _problem(detail: Any, tree: Mapping[str, Any]) -> str:
    """One line for one of pydantic's errors: the path, the bad value, and the remedy."""
    loc = [str(part) for part in detail["loc"]]
    if loc[0] in ("algorithm", "watch"):  # unions, whose branch pydantic names as well
        del loc[1:2]
    path = ".".join(loc)
    if detail["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _known_keys(loc[:-1], tree)
        return f"{path}: unknown key{_nearest(loc[-1], known)}"
    if detail["type"] in ("missing", "missing_argument"):
        return f"{path}: missing; it has no default"
    if detail["type"] == "union_tag_not_found":
        return f"{path}.kind: missing; one of ddpo, ddpo_sf, rwr"
    if detail["type"] == "union_tag_invalid":
        return f"{path}.kind: unknown kind {detail['ctx']['tag']!r}; one of ddpo, ddpo_sf, rwr"
    return f"{path}: {detail['input']!r} is not valid: {detail['msg']}"


def _nearest(word: str, known: Sequence[str]) -> str:
    """A suggestion for a misspelt key."""
    if close := difflib.get_close_matches(word, known, n=1, cutoff=0.5):
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(known)}"


def _known_keys(sections: Sequence[str], tree: Mapping[str, Any]) -> list[str]:
    """The valid keys of a section, found by walking the schema."""
    schema: Any = Config
    node: Any = tree
    for section in sections:
        node = node.get(section, {}) if isinstance(node, Mapping) else {}
        schema = _section_type(schema, section, node)
        if schema is None:
            return []
    return [item.name for item in fields(schema)]


def _section_type(schema: Any, section: str, node: Any) -> Any:
    """The dataclass behind a section; a tagged union is resolved by its `kind`."""
    declared = schema.__pydantic_fields__[section].annotation
    candidates = [kind for kind in (declared, *get_args(declared)) if is_dataclass(kind)]
    kind = node.get("kind") if isinstance(node, Mapping) else None
    for candidate in candidates:
        tag = getattr(candidate, "__pydantic_fields__", {}).get("kind")
        if len(candidates) == 1 or tag is None or kind in get_args(tag.annotation):
            return candidate
    return candidates[0] if candidates else None


def _contradictions(config: Config) -> list[str]:
    """What each key allows and the configuration as a whole does not."""
    problems = []
    for path, prompts in (
        ("prompts", config.prompts),
        ("evaluation.prompts", config.evaluation.prompts),
    ):
        if prompts is not None and (prompts.set is None) == (prompts.file is None):
            problems.append(f"{path}: give exactly one of set and file")
    algorithm = config.algorithm
    if algorithm.advantages in ("group", "leave_one_out") and algorithm.group_size < 2:
        problems.append(
            f"algorithm.group_size: {algorithm.group_size} leaves no other sample to compare with; "
            f"advantages: {algorithm.advantages} needs 2 or more, such as 8"
        )
    if isinstance(algorithm, DdpoConfig) and algorithm.clip_range and algorithm.clip_nats:
        problems.append("algorithm.clip_nats: give clip_range or clip_nats, not both")
    if algorithm.min_count > algorithm.buffer_size:
        problems.append(
            f"algorithm.min_count: {algorithm.min_count} rewards never fit a buffer of "
            f"{algorithm.buffer_size} (algorithm.buffer_size)"
        )
    if algorithm.kl_target is not None and algorithm.kl_coef == 0:
        problems.append("algorithm.kl_coef: 0 cannot adapt towards kl_target; start from 0.01, say")
    if config.policy.eta == 0:
        problems.append(
            "policy.eta: 0 makes every step deterministic, so there is no action to train"
        )
    if both := sorted(set(config.rewards) & set(config.watch)):
        problems.append(f"watch: {', '.join(both)} is optimised already (rewards), and measured")
    if config.name in ("", "..") or Path(config.name).name != config.name:
        problems.append(f"name: {config.name!r} is not a folder name")
    return problems
