"""What the training is fed, and that it teaches."""

import torch

from ddpo.worlds.texts.models import new_causal, new_seq2seq
from ddpo.worlds.texts.tokenizer import make_tokenizer
from ddpo.worlds.texts.training import (
    IGNORED,
    Plan,
    causal_batch,
    causal_batches,
    lessons,
    seq2seq_batches,
    train,
)

TOKENIZER = make_tokenizer("left")
"""Its tokens are always the same."""


def test_prompts_and_padding_have_no_labels() -> None:
    batch = causal_batch(TOKENIZER, [("# f(a):", " b"), ("#", "def f(a):\n")])
    for row, completion in enumerate((" b</s>", "def f(a):\n</s>")):
        labels = batch["labels"][row]
        kept = labels != IGNORED
        assert TOKENIZER.decode(labels[kept]) == completion
        assert torch.equal(labels[kept], batch["input_ids"][row][kept])
    assert TOKENIZER.decode(batch["input_ids"][0][batch["attention_mask"][0] == 1]) == (
        "# f(a): b</s>"
    )


def test_summaries_of_the_sequence_to_sequence_model_end() -> None:
    (batch,) = next(
        seq2seq_batches(TOKENIZER, Plan(steps=1, lessons=lessons(0.5), summaries=4), seed=0)
    )
    assert (batch["labels"] == TOKENIZER.eos_token_id).sum(1).tolist() == [1] * 4
    assert (batch["labels"] == TOKENIZER.pad_token_id).sum() == 0
    assert batch["input_ids"].shape[0] == 4


def test_descriptions_grow_over_the_training() -> None:
    plan = Plan(steps=10, lessons=lessons(0.5), summaries=8)
    found = [parts[0]["input_ids"].shape[1] for parts in seq2seq_batches(TOKENIZER, plan, seed=0)]
    assert len(found) == 10
    assert max(found[:4]) < min(found[7:])


def test_training_lowers_the_loss_and_is_of_its_seed() -> None:
    plan = Plan(steps=6, lessons=lessons(0.0), summaries=4, programs=8, warm_up=2)
    weights = []
    for _ in range(2):
        torch.manual_seed(0)
        model = new_causal(TOKENIZER)
        fixed = next(causal_batches(TOKENIZER, plan, seed=1))
        before = sum(model(**part).loss.item() for part in fixed)
        train(model, causal_batches(TOKENIZER, plan, seed=0), plan, report=lambda line: None)
        assert sum(model(**part).loss.item() for part in fixed) < before - 0.5
        weights.append(model.model.embed_tokens.weight.detach().clone())
    assert torch.equal(*weights)


def test_the_architectures_have_no_dropout() -> None:
    for model in (new_causal(TOKENIZER), new_seq2seq(TOKENIZER)):
        rates = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
        assert not any(rates)
        assert not getattr(model.config, "attention_dropout", 0)
        assert 800_000 < model.num_parameters() < 1_600_000
