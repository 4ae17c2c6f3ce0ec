"""How a chain is run: what the configuration leaves open, what evaluation says, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddpo.config.schema import Config
from ddpo.diffusion.chain import Chain, ChainSettings, heldout_chain, training_chain
from ddpo.diffusion.family import Family
from ddpo.diffusion.loading import load_family
from ddpo.errors import UserError
from tests.support.policies import configured

OPEN: dict[str, Any] = {"guidance_scale": None, "resolution": 16}
Load = Callable[[str], Family]


@pytest.fixture(scope="module")
def load(models: Callable[[str], Path]) -> Load:
    """Families of tiny models, each loaded once."""
    loaded: dict[str, Family] = {}

    def family(name: str) -> Family:
        if name not in loaded:
            loaded[name] = load_family(str(models(name)))
        return loaded[name]

    return family


def config_of(**options: Any) -> Config:
    return configured(Path("model"), **{**OPEN, **options})


def settings(chain: ChainSettings) -> tuple[str, int, float, float]:
    return chain.sampler, chain.num_steps, chain.eta, chain.guidance_scale


@pytest.mark.parametrize(
    ("name", "sampler", "expected"),
    [
        ("sd15", None, ("ddim", 4, 1.0, 5.0)),
        ("sdxl", None, ("ddim", 4, 1.0, 5.0)),
        ("sd3", None, ("flow_sde", 4, 0.7, 4.5)),
        ("sd3", "cps", ("cps", 4, 0.7, 4.5)),
        ("flux-dev", "dance_sde", ("dance_sde", 4, 0.3, 3.5)),
        ("flux-schnell", None, ("flow_sde", 4, 0.7, 1.0)),
    ],
)
def test_what_is_left_open_is_as_published(
    load: Load, name: str, sampler: str | None, expected: tuple[Any, ...]
) -> None:
    family = load(name)
    trained = training_chain(config_of(sampler=sampler), family)
    assert settings(trained) == expected
    assert settings(heldout_chain(config_of(), family, trained)) == expected


def test_evaluation_has_a_chain_of_its_own(load: Load) -> None:
    family = load("sd3")
    config = config_of(evaluation={"num_steps": 7, "eta": 0, "guidance_scale": 1})
    trained = training_chain(config, family)
    heldout = heldout_chain(config, family, trained)
    assert settings(trained) == ("flow_sde", 4, 0.7, 4.5)
    assert settings(heldout) == ("flow_sde", 7, 0.0, 1.0)
    assert heldout.resolution == trained.resolution == 16
    chain = Chain.of(family, heldout, (4, 8, 8))
    assert len(chain.schedule) == 7
    assert not chain.schedule.mask().any()


@pytest.mark.parametrize(
    ("name", "scale", "two_branches"),
    [("sd15", 1.0, False), ("sd15", 1.5, True), ("sd3", 4.5, True), ("flux-dev", 3.5, False)],
)
def test_two_branches_where_they_are_combined(
    load: Load, name: str, scale: float, two_branches: bool
) -> None:
    family = load(name)
    trained = training_chain(config_of(guidance_scale=scale), family)
    chain = Chain.of(family, trained, (4, 8, 8))
    assert (chain.guided, chain.guidance_scale) == ((two_branches,) * len(chain.schedule), scale)


@pytest.mark.parametrize(
    ("interval", "steps", "guided"),
    [
        ([0.25, 0.75], 4, [False, True, True, False]),
        ([0.0, 0.5], 5, [True, True, True, False, False]),
        ([0.2, 1.0], 5, [False, True, True, True, True]),
    ],
)
def test_only_the_steps_of_an_interval_are_guided(
    load: Load, interval: list[float], steps: int, guided: list[bool]
) -> None:
    family = load("sd15")
    config = config_of(guidance_scale=2.0, guidance_interval=interval, num_steps=steps)
    trained = training_chain(config, family)
    for settings in (trained, heldout_chain(config, family, trained)):
        assert [*Chain.of(family, settings, (4, 8, 8)).guided] == guided


def test_held_out_samples_have_an_interval_of_their_own(load: Load) -> None:
    family = load("sd15")
    given = {"guidance_scale": 2.0, "guidance_interval": [0.0, 1.0]}
    config = config_of(guidance_scale=3.0, guidance_interval=[0.0, 0.5], evaluation=given)
    trained = training_chain(config, family)
    heldout = heldout_chain(config, family, trained)
    assert [*Chain.of(family, trained, (4, 8, 8)).guided] == [True, True, False, False]
    assert [*Chain.of(family, heldout, (4, 8, 8)).guided] == [True] * 4


def test_an_interval_of_held_out_samples_without_guidance_is_refused(load: Load) -> None:
    family = load("sd15")
    given = {"guidance_scale": 1.0, "guidance_interval": [0.0, 0.5]}
    config = config_of(guidance_scale=3.0, evaluation=given)
    with pytest.raises(UserError, match=r"^evaluation.guidance_interval: no step of this chain"):
        heldout_chain(config, family, training_chain(config, family))


@pytest.mark.parametrize(
    ("name", "scale", "interval", "problem"),
    [
        ("sd15", 1.0, [0.0, 0.5], r"^policy.guidance_interval: no step of this chain has two"),
        ("flux-dev", 3.5, [0.0, 0.5], r"^policy.guidance_interval: no step of this chain has two"),
        ("sd15", 3.0, [0.8, 1.0], r"^policy.num_steps: none of 4 steps begins in .*\[0.8, 1\]"),
    ],
)
def test_an_interval_that_guides_nothing_is_refused(
    load: Load, name: str, scale: float, interval: list[float], problem: str
) -> None:
    family = load(name)
    config = config_of(guidance_scale=scale, guidance_interval=interval, num_steps=4)
    with pytest.raises(UserError, match=problem):
        Chain.of(family, training_chain(config, family), (4, 8, 8))


@pytest.mark.parametrize(
    ("name", "steps", "problem"),
    [
        ("sd15", 1000, r"^evaluation.num_steps: 1000 steps cannot be spaced"),
        ("sd3", 1001, r"^evaluation.num_steps: 1001 is more than the 1000"),
    ],
)
def test_a_message_names_the_section_that_is_wrong(
    load: Load, name: str, steps: int, problem: str
) -> None:
    family, config = load(name), config_of(evaluation={"num_steps": steps})
    heldout = heldout_chain(config, family, training_chain(config, family))
    with pytest.raises(UserError, match=problem):
        Chain.of(family, heldout, (4, 8, 8))
