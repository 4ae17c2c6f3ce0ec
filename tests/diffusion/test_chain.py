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
    assert (chain.two_branches, chain.guidance_scale) == (two_branches, scale)


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
