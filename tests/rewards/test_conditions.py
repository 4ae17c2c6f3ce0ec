"""What surrounds a reward: a limit of time, a pool of processes, and each where it makes sense."""

import os
import time

import numpy as np
import pytest
import torch

from rewards import make, reward, timed
from rewards.cached import Cached
from rewards.combine import from_spec
from rewards.conditions import Conditions
from rewards.pool import Pooled
from rewards.timed import Timed, within

TEXTS = ["one", "three", "", "été", "five", "sixsix", "7"]


PROMPTS = [f"prompt {number}" for number in range(7)]


@pytest.fixture(autouse=True)
def _threads_of_its_own(monkeypatch):
    """What a test leaves behind does not matter to those after it."""
    monkeypatch.setattr(timed, "_left_behind", [])


def test_a_reward_that_hangs_costs_its_batch_and_no_more(counting):
    patient = Timed(make("counting_module:moody"), 0.2)
    start = time.monotonic()
    scored = patient.score(["fine", "hang"], ["p", "q"])
    assert time.monotonic() - start < 10
    assert [failure.reason for failure in scored.failures] == [
        "no answer within 0.2 s (scoring.timeout)"
    ] * 2
    assert timed.left_behind()
    assert patient.score(["fine"], ["p"]).values.tolist() == [1.0]


def test_errors_pass_through_a_limit_of_time():
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 / 0)
    assert within(5.0, lambda: 3) == 3


def test_gradients_stay_off_in_the_thread_of_a_limit():
    with torch.no_grad():
        assert within(5.0, torch.is_grad_enabled) is False
    assert within(5.0, torch.is_grad_enabled) is True


def test_a_pool_scores_in_other_processes_and_in_order(counting):
    pool = Pooled(make("counting_module:counting"), 2)
    columns = {"reference": [str(number) * number for number in range(7)]}
    alone = make("counting_module:counting").score(TEXTS, PROMPTS, columns)
    assert pool.score(TEXTS, PROMPTS, columns).values.tolist() == alone.values.tolist()
    assert pool.score([], [], {"reference": []}).values.tolist() == []
    pids = set(Pooled(make("counting_module:workers_pid"), 2).score(TEXTS, PROMPTS).values)
    assert len(pids) == 2
    assert np.float32(os.getpid()) not in pids
    pool.close()


def test_a_pool_names_the_rows_that_fail(counting):
    scored = Pooled(make("counting_module:moody"), 2).score(["a", "b", "c", "raise", "e"], "pqrst")
    (failure,) = scored.failures
    assert (failure.row, failure.prompt, failure.reason) == (3, "s", "ValueError: no raise")
    assert np.isnan(scored.values).tolist() == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("text", "reason"), [("hang", "no answer within 5 s"), ("die", "a worker process ended")]
)
def test_a_pool_survives_workers_that_hang_or_die(text, reason, counting):
    pool = Pooled(make("counting_module:moody"), 2, seconds=5.0)
    scored = pool.score(["fine", text], ["p", "q"])
    assert reason in scored.failures[-1].reason
    assert scored.failures[-1].row == 1
    assert pool.score(["fine", "well"], ["p", "q"]).values.tolist() == [1.0, 1.0]
    pool.close()


def test_conditions_apply_where_they_make_sense(tmp_path):
    @reward("whole", modality="image", group=True, cpu_bound=True)
    def whole(images, prompts):
        return torch.zeros(len(prompts))

    @reward("dice", modality="text", deterministic=False)
    def dice(texts, prompts):
        return [0.0] * len(texts)

    everything = Conditions(timeout=9.0, workers=2, cache=tmp_path / "numbers")
    assert isinstance(everything.under(make("bleu")), Cached)
    assert isinstance(everything.under(make("bleu")).reward, Pooled)
    assert isinstance(everything.under(make("whole")), Timed)
    assert isinstance(everything.under(make("dice")), Timed)
    assert Conditions().under(made := make("dice")) is made
    spec = {"repetition": 1.0, "length": {"target": 2}}
    assert from_spec(spec, conditions=everything)(["a b"], ["p"]).total.shape == (1,)
