"""Every architecture keeps one contract; what transformers itself says of the tokens is the
measure.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddpo.errors import UserError
from ddpo.randomness import RowGenerator
from ddpo.text.decoding import drawn
from ddpo.text.policy import TokenPolicy
from ddpo.trajectory import Trajectory
from tests.support.language_models import ARCHITECTURES, CONTEXT, VOCABULARY
from tests.support.text_policies import built, disturb

PROMPTS = ["a dog", "the cat sat on a mat", "b"]
COUNT = 18
ALL = torch.arange(8)
EOS = VOCABULARY["</s>"]
CLOSE = 1e-5
"""Of log-probs, in fp32."""

Models = Callable[[str], Path]

LORA = pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
PLACES = [{}, {"temperature": 0.7, "min_length": 3}]
"""Of the policy section: what changes the distribution at a place."""


@pytest.fixture(params=ARCHITECTURES)
def name(request: pytest.FixtureRequest) -> str:
    """An architecture."""
    return request.param


def policy_of(model: Path, **options: Any) -> TokenPolicy:
    """A policy, moved as by an update."""
    policy = built(model, **options)
    disturb(policy)
    return policy


def sampled(policy: TokenPolicy, count: int = COUNT, **options: Any) -> Trajectory:
    """So many samples of the prompts, in turn."""
    rows = rows_of(count)
    generator = RowGenerator(seed=0, iteration=1, rows=rows)
    return policy.sample([PROMPTS[prompt] for prompt, _ in rows], generator, **options)


def rows_of(count: int) -> tuple[tuple[int, int], ...]:
    """The same as (prompt, which sample of that prompt)."""
    return tuple((i % len(PROMPTS), i // len(PROMPTS)) for i in range(count))


def written(trajectory: Trajectory, row: int) -> list[int]:
    """The tokens of one completion."""
    mask = trajectory.mask[row] > 0
    return trajectory.record["completion_ids"][row][mask].tolist()


def plain_logits(policy: TokenPolicy, prompt: str, ids: Sequence[int]) -> Tensor:
    """What the model of transformers says at the place of each token of one completion, fp64."""
    network: Any = policy.network
    model = network.model
    read = torch.tensor([[VOCABULARY[letter] for letter in prompt]])
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            before = torch.tensor([[0, *ids[:-1]]])
            return model(input_ids=read, decoder_input_ids=before).logits[0].double()
        whole = torch.cat([read, torch.tensor([ids])], 1)
        return model(input_ids=whole).logits[0, read.shape[1] - 1 : -1].double()


def plain_log_probs(
    logits: Tensor, temperature: float = 1.0, min_length: int = 0, eos_ids: Sequence[int] = (EOS,)
) -> Tensor:
    """The distribution at each place."""
    logits = logits / temperature
    logits[:min_length, list(eos_ids)] = -torch.inf
    return logits.log_softmax(1)


def moved(policy: TokenPolicy, trajectory: Trajectory) -> float:
    """Largest |log-ratio|."""
    again = policy.evaluate(trajectory, ALL).log_probs.detach()
    return float((again - trajectory.log_probs).abs().max())


@LORA
def test_evaluate_returns_the_log_probs_that_sample_stored(
    language_models: Models, name: str, lora: bool
) -> None:
    policy = policy_of(language_models(name), lora=lora)
    trajectory = sampled(policy)
    assert trajectory.log_probs.dtype == torch.float32
    assert moved(policy, trajectory) <= CLOSE
    for actions in ALL.split(3):
        again = policy.evaluate(trajectory, actions).log_probs
        assert (again - trajectory.log_probs[:, actions]).abs().max() <= CLOSE
    disturb(policy)
    assert moved(policy, trajectory) > 1e-2


@LORA
@pytest.mark.parametrize("places", PLACES, ids=str)
def test_tokens_and_their_numbers_are_those_of_plain_transformers(
    language_models: Models, name: str, lora: bool, places: dict[str, Any]
) -> None:
    """Drawn from its distribution, one row at a time and without padding; and scored so."""
    policy = policy_of(language_models(name), lora=lora, **places)
    trajectory = sampled(policy)
    found = policy.evaluate(trajectory, ALL)
    uniforms = RowGenerator(0, 1, rows_of(COUNT)).uniforms(8)
    assert found.entropy is not None
    for row, prompt in enumerate(trajectory.prompts):
        ids = written(trajectory, row)
        expected = plain_log_probs(plain_logits(policy, prompt, ids), **places)
        assert ids == drawn(expected, uniforms[row, : len(ids)]).tolist()
        own = expected[torch.arange(len(ids)), ids]
        entropy = -(expected.exp() * expected).nan_to_num(0).sum(1)
        for values in (trajectory.log_probs, found.log_probs.detach()):
            torch.testing.assert_close(values[row, : len(ids)].double(), own, atol=CLOSE, rtol=0)
        mine = found.entropy[row, : len(ids)].detach().double()
        torch.testing.assert_close(mine, entropy, atol=CLOSE, rtol=0)
    blank = trajectory.mask == 0
    assert (trajectory.log_probs[blank] == 0).all()
    assert (found.entropy[blank] == 0).all()
    lengths = trajectory.mask.sum(1)
    assert places.get("min_length", 0) < lengths.min() < 8


@LORA
def test_kl_is_to_the_policy_before_training(
    language_models: Models, name: str, lora: bool
) -> None:
    """In the loss k3 of each token, and what k1 in the reward is made of."""
    loss = {"kind": "ddpo", "kl_coef": 0.1}
    policy = built(language_models(name), lora=lora, algorithm=loss)
    trajectory = sampled(policy)
    assert not trajectory.measured
    kl = policy.evaluate(trajectory, ALL, with_kl=True).kl
    assert kl is not None
    assert (kl == 0).all()
    disturb(policy)
    kl = policy.evaluate(trajectory, ALL, with_kl=True).kl
    assert kl is not None
    assert kl.min() > -1e-6
    assert kl.sum() / trajectory.mask.sum() > 1e-4
    assert (kl[trajectory.mask == 0] == 0).all()
    kl.sum().backward()
    assert any(p.grad is not None and p.grad.norm() > 0 for p in policy.network.parameters())
    assert policy.evaluate(trajectory, ALL).kl is None


@LORA
def test_kl_in_the_reward_is_measured_as_samples_are_made(
    language_models: Models, name: str, lora: bool
) -> None:
    policy = built(language_models(name), lora=lora)
    before = sampled(policy)
    assert torch.equal(before.measured["ref_log_probs"], before.log_probs)
    disturb(policy)
    after = sampled(policy)
    ref = after.measured["ref_log_probs"]
    counted = after.mask > 0
    assert (ref[counted] != after.log_probs[counted]).all()
    assert (ref[~counted] == 0).all()
    assert (after.log_probs - ref).sum(1).mean() > 0  # of the whole completion, in expectation
    untouched = built(language_models(name), lora=lora)
    assert torch.allclose(untouched.evaluate(after, ALL).log_probs, ref, atol=CLOSE)


@LORA
def test_padding_changes_nothing(language_models: Models, name: str, lora: bool) -> None:
    """A sample is the same alone as with longer prompts and other completions."""
    policy = policy_of(language_models(name), lora=lora, min_length=1)
    together = sampled(policy, 12)
    whole, ids = policy.evaluate(together, ALL, with_kl=True), together.record["completion_ids"]
    assert len({len(prompt) for prompt in PROMPTS}) == 3
    for row in range(6):
        generator = RowGenerator(seed=0, iteration=1, rows=((row % 3, row // 3),))
        alone = policy.sample([PROMPTS[row % 3]], generator)
        assert alone.outputs == together.outputs[row : row + 1]  # pyright: ignore[reportOptionalSubscript]
        assert alone.record["completion_ids"][0].tolist() == ids[row].tolist()
        assert torch.equal(alone.mask[0], together.mask[row])
        assert (alone.log_probs[0] - together.log_probs[row]).abs().max() <= CLOSE
        for key, values in alone.measured.items():
            assert (values[0] - together.measured[key][row]).abs().max() <= CLOSE, key
        again = policy.evaluate(alone, ALL, with_kl=True)
        for key in ("log_probs", "entropy", "kl", "values"):
            one, other = getattr(again, key)[0], getattr(whole, key)[row]
            assert other.abs().max() > 0, key
            assert (one - other).abs().max() <= CLOSE, key


def test_samples_depend_on_their_own_numbers_only(language_models: Models) -> None:
    policy = policy_of(language_models("gpt2"))

    def texts(seed: int, iteration: int, *rows: tuple[int, int]) -> Any:
        generator = RowGenerator(seed, iteration, rows)
        return policy.sample([PROMPTS[prompt] for prompt, _ in rows], generator).outputs

    first, second, other = texts(0, 1, (0, 0), (0, 1), (2, 0))
    assert texts(0, 1, (2, 0), (0, 1)) == [other, second]
    assert first != second
    assert texts(1, 1, (0, 0)) != [first]
    assert texts(0, 2, (0, 0)) != [first]
    assert policy.sample(["a dog"], RowGenerator(0, 1, ((5, 0),))).outputs != [first]


@pytest.fixture
def often_ending(language_models: Models, name: str, tmp_path: Path) -> Path:
    """A model whose completions end at any of eight letters."""
    folder = tmp_path / "often"
    shutil.copytree(language_models(name), folder)
    file = folder / "generation_config.json"
    settings = json.loads(file.read_text()) | {"eos_token_id": [EOS, *range(3, 10)]}
    file.write_text(json.dumps(settings))
    return folder


def test_a_completion_ends_at_its_first_end_and_nothing_counts_after_it(
    often_ending: Path,
) -> None:
    policy = built(often_ending, missing_eos_penalty=2.5)
    trajectory = sampled(policy)
    ending = [EOS, *range(3, 10)]
    penalties = trajectory.measured["penalty"].tolist()
    cut_off = 0
    for row in range(COUNT):
        ids = trajectory.record["completion_ids"][row].tolist()
        ends = [place for place, token in enumerate(ids) if token in ending]
        length = ends[0] + 1 if ends else 8
        assert trajectory.mask[row].tolist() == [1.0] * length + [0.0] * (8 - length)
        assert ids[length:] == [0] * (8 - length)
        assert penalties[row] == (0.0 if ends else 2.5)
        cut_off += not ends
    assert 0 < cut_off < COUNT
    assert trajectory.mask.sum(1).unique().numel() > 4


def test_with_several_ends_none_comes_before_the_shortest_length(often_ending: Path) -> None:
    policy = built(often_ending, min_length=5)
    trajectory = sampled(policy)
    assert trajectory.mask.sum(1).min() == 6
    for row, prompt in enumerate(trajectory.prompts):
        ids = written(trajectory, row)
        logits = plain_logits(policy, prompt, ids)
        expected = plain_log_probs(logits, min_length=5, eos_ids=[EOS, *range(3, 10)])
        own = expected[torch.arange(len(ids)), ids]
        assert (trajectory.log_probs[row, : len(ids)] - own).abs().max() <= CLOSE


def test_a_text_that_ends_a_completion_is_written_and_not_shown(
    language_models: Models, name: str
) -> None:
    """Its tokens are actions; what comes after was never sampled."""
    free = sampled(policy_of(language_models(name), missing_eos_penalty=1.0))
    assert isinstance(free.outputs, list)
    row = next(i for i, text in enumerate(free.outputs) if len(text) == 8)
    stop = free.outputs[row][3:5]
    stopped = sampled(
        policy_of(language_models(name), missing_eos_penalty=1.0, stop=["never", stop])
    )
    assert isinstance(stopped.outputs, list)
    assert stopped.outputs[row] == free.outputs[row][:3]
    assert stopped.mask[row].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    ids = stopped.record["completion_ids"][row]
    assert ids[:5].tolist() == free.record["completion_ids"][row, :5].tolist()
    assert ids[5:].tolist() == [0, 0, 0]
    assert (stopped.log_probs[row, :5] - free.log_probs[row, :5]).abs().max() <= CLOSE
    assert free.measured["penalty"][row] == 1
    assert stopped.measured["penalty"][row] == 0
    others = [i for i, text in enumerate(free.outputs) if stop not in text]
    assert others
    assert all(stopped.outputs[i] == free.outputs[i] for i in others)


def test_padding_by_the_token_that_ends_a_text(
    language_models: Models, name: str, tmp_path: Path
) -> None:
    """As GPT-2, whose tokenizer has no other: the same samples and numbers."""
    folder = tmp_path / "unpadded"
    shutil.copytree(language_models(name), folder)
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    assert settings.pop("pad_token") == "<pad>"
    file.write_text(json.dumps(settings))
    policies = [policy_of(language_models(name)), policy_of(folder)]
    padded, unpadded = map(sampled, policies)
    assert padded.outputs == unpadded.outputs
    assert torch.equal(padded.mask, unpadded.mask)
    blank = padded.mask == 0
    assert blank.any()
    assert (padded.record["completion_ids"][blank] == VOCABULARY["<pad>"]).all()
    assert (unpadded.record["completion_ids"][blank] == EOS).all()
    assert (padded.log_probs - unpadded.log_probs).abs().max() <= CLOSE
    assert moved(policies[1], unpadded) <= CLOSE


def test_the_likeliest_token_is_taken_at_each_place(language_models: Models, name: str) -> None:
    places = PLACES[1]
    policy = policy_of(language_models(name), **places)
    trajectory = policy.sample_greedily(PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        ids = written(trajectory, row)
        expected = plain_log_probs(plain_logits(policy, prompt, ids), **places)
        assert expected.argmax(1).tolist() == ids


def test_held_out_samples_are_decoded_as_the_evaluation_says(language_models: Models) -> None:
    """Training samples are not; a tiny share or a low temperature leaves the likeliest tokens."""
    greedy = built(language_models("gpt2")).sample_greedily(PROMPTS * 8).outputs
    for asked in ({"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-6}):
        policy = built(language_models("gpt2"), evaluation=asked)
        heldout = policy.sample(
            PROMPTS * 8, rows := RowGenerator(0, 1, ((0, 0),) * 24), heldout=True
        )
        assert heldout.outputs == greedy
        assert policy.sample(PROMPTS * 8, rows).outputs != greedy


def test_a_pass_is_a_sample_once_through_the_network(language_models: Models) -> None:
    """Written, scored, scored under the reference."""
    policy = built(language_models("gpt2"))
    trajectory = sampled(policy, 6)
    assert policy.network_passes == 18
    policy.evaluate(trajectory, ALL)
    assert policy.network_passes == 24
    policy.evaluate(trajectory, ALL, with_kl=True)
    assert policy.network_passes == 36


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ("", "prompts: the prompt '' has no token for .* to begin from"),
        (
            "a" * (CONTEXT - 7),
            f"has {CONTEXT - 7} tokens; with them and 8 of a completion .policy.max_length. the "
            f"context of .*, {CONTEXT}, is exceeded",
        ),
    ],
)
def test_prompts_that_cannot_be_read_whole_are_refused(
    language_models: Models, prompt: str, problem: str
) -> None:
    policy = built(language_models("gpt2"))
    policy.check_prompts([*PROMPTS, "a" * (CONTEXT - 8)], "prompts")
    with pytest.raises(UserError, match=problem):
        policy.check_prompts([*PROMPTS, prompt], "prompts")


def test_an_encoder_has_its_context_for_the_prompt_alone(language_models: Models) -> None:
    policy = built(language_models("t5"))
    policy.check_prompts(["a" * CONTEXT], "prompts")
    with pytest.raises(UserError, match=f"{CONTEXT + 1} tokens; with them the context of"):
        policy.check_prompts(["a" * (CONTEXT + 1)], "prompts")
