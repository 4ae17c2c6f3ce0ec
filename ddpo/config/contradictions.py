"""What each key allows and the configuration as a whole does not."""

from __future__ import annotations

from pathlib import Path

from ddpo.config.algorithms import DdpoConfig, DdpoSfConfig, GrpoConfig, PpoConfig
from ddpo.config.schema import Config, PromptsConfig


def contradictions(config: Config) -> list[str]:
    """One line for each contradiction between keys: the path, the value, and the remedy."""
    problems = []
    for path, prompts in (
        ("prompts", config.prompts),
        ("evaluation.prompts", config.evaluation.prompts),
    ):
        if prompts is not None:
            problems += _of_prompts(path, prompts)
    algorithm = config.algorithm
    if algorithm.advantages in ("group", "leave_one_out") and algorithm.group_size < 2:
        problems.append(
            f"algorithm.group_size: {algorithm.group_size} leaves no other sample to compare with; "
            f"advantages: {algorithm.advantages} needs 2 or more, such as 8"
        )
    if algorithm.advantage_std == "batch" and algorithm.advantages != "group":
        problems.append(
            f"algorithm.advantage_std: batch is for advantages: group, and not for "
            f"{algorithm.advantages}, which has a divisor of its own or none; leave the key out"
        )
    clipped = isinstance(algorithm, DdpoConfig | GrpoConfig | PpoConfig)
    if clipped and algorithm.clip_range and algorithm.clip_nats:
        problems.append("algorithm.clip_nats: give clip_range or clip_nats, not both")
    if algorithm.min_count > algorithm.buffer_size:
        problems.append(
            f"algorithm.min_count: {algorithm.min_count} rewards never fit a buffer of "
            f"{algorithm.buffer_size} (algorithm.buffer_size)"
        )
    if algorithm.kl_target is not None and algorithm.kl_coef == 0:
        problems.append("algorithm.kl_coef: 0 cannot adapt towards kl_target; start from 0.01, say")
    problems += config.policy.contradictions(config)
    weighted = isinstance(algorithm, GrpoConfig) and algorithm.guard
    if algorithm.step_weights != "equal" and (algorithm.forward_process or weighted):
        problems.append(
            f"algorithm.step_weights: {algorithm.step_weights} is not for {algorithm.kind}"
            f"{', whose guard weights steps already' if weighted else ''}; leave the key out"
        )
    if config.train.sample_uses > 1 and isinstance(algorithm, DdpoSfConfig):
        problems.append(
            f"train.sample_uses: {config.train.sample_uses} needs importance weights, and ddpo_sf "
            f"has none; use algorithm.kind: ddpo, or 1"
        )
    if config.lora is None and config.policy.precision.network != "fp32":
        problems.append(
            f"policy.precision.network: {config.policy.precision.network} is too coarse for "
            f"updates of all weights; use fp32 with train.mixed_precision: bf16, or add a lora "
            f"section"
        )
    if config.name in ("", "..") or Path(config.name).name != config.name:
        problems.append(f"name: {config.name!r} is not a folder name")
    return problems


def _of_prompts(path: str, prompts: PromptsConfig) -> list[str]:
    """The same for a section that says where prompts come from."""
    problems = []
    if [prompts.set, prompts.file, prompts.dataset].count(None) != 2:
        problems.append(f"{path}: give exactly one of set, file and dataset")
    if prompts.template is not None and prompts.column is not None:
        problems.append(f"{path}.column: give template or column, not both")
    if prompts.dataset is None:
        problems += [
            f"{path}.{key}: {value!r} is of a dataset, and there is none; leave the key out"
            for key, value in (("split", prompts.split), ("config", prompts.config))
            if value is not None
        ]
    return problems
