"""One tokenizer for both models: byte-pair encoding of bytes, learned from prompts and completions.

Any text can be encoded and comes back as it was; the words of the world are mostly one token each.
Nothing is added to a text: a prompt ends where it ends, and `END` follows a completion.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from ddpo.worlds.shapes.scenes import claims
from ddpo.worlds.texts.corpus import SUMMARY_ENDING, program_pairs, summary_pairs

PADDING, START, END = "<pad>", "<s>", "</s>"
SIZE = 1024
CONTEXT_LENGTH = 256
_LEARNED_FROM = 4000  # examples of each kind


def make_tokenizer(padding_side: str) -> PreTrainedTokenizerFast:
    """The tokenizer, always with the same tokens; a causal model's prompts are padded left."""
    learner = Tokenizer(models.BPE())
    pre_tokenizer: Any = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.pre_tokenizer = pre_tokenizer
    learner.decoder = cast(Any, decoders.ByteLevel())
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=[PADDING, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(_texts(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=learner,
        pad_token=PADDING,
        bos_token=START,
        eos_token=END,
        padding_side=padding_side,
        model_max_length=CONTEXT_LENGTH,
        clean_up_tokenization_spaces=False,
    )


def _texts() -> Iterator[str]:
    for description, summary in islice(summary_pairs(seed=1), _LEARNED_FROM):
        yield description + SUMMARY_ENDING
        yield f" {summary}"
    for claim in islice(claims(seed=1), _LEARNED_FROM):
        yield claim.caption()
    for prompt, program in islice(program_pairs(seed=1), _LEARNED_FROM):
        yield prompt
        yield program
