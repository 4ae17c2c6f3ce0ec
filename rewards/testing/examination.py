"""All properties of a reward, one after another: the contract, and what it declares of itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rewards.errors import RewardError
from rewards.registry import attached, make
from rewards.scoring import Reward
from rewards.testing import independence, result, side_effects
from rewards.testing.case import Case, build_case
from rewards.testing.devices import devices
from rewards.testing.finding import Broken, Finding, NotChecked
from rewards.testing.gradient import gradient
from rewards.testing.oddities import odd_inputs
from rewards.testing.pickling import pickling

# In this order, so that the first failure is the cause of those after it.
PROPERTIES: dict[str, Callable[[Case], None]] = {
    "call": result.call,
    "dtype": result.dtype,
    "length": result.length,
    "explained": result.explained,
    "finite": result.finite,
    "range": result.within_range,
    "inputs": side_effects.inputs,
    "random-state": side_effects.random_state,
    "determinism": independence.determinism,
    "order": independence.order,
    "batch-split": independence.batch_split,
    "empty-batch": result.empty_batch,
    "odd-inputs": odd_inputs,
    "pickle": pickling,
    "gradient": gradient,
    "devices": devices,
}
# Without these there are no numbers to examine.
FIRST = ("call", "dtype", "length", "explained")


def check_reward(
    reward: str | Reward | Callable[..., Any],
    *,
    options: Mapping[str, Any] | None = None,
    samples: Any = None,
    prompts: Sequence[str] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Verify that a reward keeps the contract and what it declares about itself.

    What is verified is listed in `PROPERTIES`; each function there says what it means.

    Args:
        reward: a name, what `make` returned, or a decorated function or class.
        options: options to make it with.
        samples: images `[B, 3, H, W]` in [0, 1], or texts; 6 are made up by default.
        prompts: a prompt for each sample; by default each of three occurs twice.
        columns: values for the columns that the reward declares; only `reference` is made up.

    Raises:
        AssertionError: every property that does not hold, one a line, with a minimal example.
    """
    try:
        findings = examine(
            reward, options=options, samples=samples, prompts=prompts, columns=columns
        )
    except RewardError as error:
        raise AssertionError(str(error)) from error
    failed = [finding for finding in findings if finding.status == "FAILED"]
    assert not failed, "\n".join(f"{one.property}: {one.message}" for one in failed)


def examine(
    reward: str | Reward | Callable[..., Any],
    *,
    options: Mapping[str, Any] | None = None,
    samples: Any = None,
    prompts: Sequence[str] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> list[Finding]:
    """What is found about each property, in the order of `PROPERTIES`; see `check_reward`.

    Raises:
        RewardError: the reward cannot be made, or a column that it needs was not given.
    """
    case = build_case(_made(reward, options or {}), samples, prompts, columns)
    findings: list[Finding] = []
    for name, verify in PROPERTIES.items():
        broken = next((one.property for one in findings if _stops(one)), None)
        if broken:
            findings.append(Finding(name, "skipped", f"because of {broken}"))
        else:
            findings.append(_find(name, verify, case))
    return findings


def _find(name: str, verify: Callable[[Case], None], case: Case) -> Finding:
    try:
        verify(case)
    except NotChecked as reason:
        return Finding(name, "skipped", str(reason))
    except (Broken, RewardError) as problem:
        return Finding(name, "FAILED", str(problem))
    return Finding(name, "ok")


def _stops(finding: Finding) -> bool:
    return finding.property in FIRST and finding.status == "FAILED"


def _made(reward: str | Reward | Callable[..., Any], options: Mapping[str, Any]) -> Reward:
    if isinstance(reward, Reward):
        return reward
    found = None if isinstance(reward, str) else attached(reward)
    name = found.name if found else reward
    if not isinstance(name, str):
        raise RewardError(f"{reward!r} is not a reward: decorate it with @reward(…)")
    return make(name, **options)
