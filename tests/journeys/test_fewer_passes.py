"""What makes an iteration's passes fewer or their update larger: all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.journey import Journey, differences, metrics
from tests.journeys.moments import at, killed

OVERRIDES = (
    "policy.guidance_interval=[0.25,0.75]",
    "policy.shared_noise=true",
    "algorithm.step_weights=std",
    "train.sample_uses=2",
    "evaluation.samples=0",
)


@pytest.fixture(scope="module")
def whole(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    journey = Journey(tmp_path_factory.mktemp("fewer"), config_file, OVERRIDES)
    journey.finish()
    return journey


def test_every_pass_is_counted_and_the_schedule_is_as_long_as_the_updates(whole: Journey) -> None:
    rows = metrics(whole.run)
    # a chain of 4 steps is 6 rows, of 8 samples; each use is a pass of the policy and one of the
    # reference; the base has no samples to evaluate
    made = 8 * 6 * (1 + 2 * 2)
    assert [row["network_passes"] for row in rows if row["iteration"]] == [made, 2 * made, 3 * made]
    assert rows[-1]["learning_rate"] == 0  # of a cosine, after 3 x 2 x 2 updates
    assert rows[1]["policy/ratio_residual"] < 1e-5
    assert rows[1]["policy/approx_kl"] > 0  # used again, a sample is of an older policy


def test_it_resumes_to_the_bit(whole: Journey, tmp_path: Path) -> None:
    journey = Journey(tmp_path, whole.config, OVERRIDES)
    with journey.start(hooks=[at("updating", 7, killed)]) as started:
        assert started.wait_for_first() == -9, started.output
    journey.finish(resume=True)
    assert differences(journey, whole) == []
