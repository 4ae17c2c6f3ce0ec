"""The vocabulary of the captions as a `CLIPTokenizer`, shared by the U-Net and the tiny CLIP."""

import json
import string
from typing import Any, cast

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from ddpo.worlds.shapes.words import BACKGROUNDS, COLOURS, POSITIONS, RADII, RELATIONS, SHAPES

CONTEXT_LENGTH = 20  # the longest caption has 14 words; two more tokens mark start and end
START, END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"


def vocabulary() -> list[str]:
    """Every word of the grammar, in order."""
    phrases = [*SHAPES, *COLOURS, *BACKGROUNDS, *RADII, *RELATIONS, *POSITIONS]
    words = {word for phrase in phrases for word in phrase.split()}
    return sorted(words | {"a", "an", "on", "background"})


def make_tokenizer() -> CLIPTokenizer:
    """A tokenizer with one token for each word of the grammar, and letters for anything else.

    The end token comes last, so that the highest id marks the end, as in OpenAI's vocabulary; it
    also pads.
    """
    merges = _merges(vocabulary())
    letters = string.ascii_lowercase + string.digits + string.punctuation
    tokens = [letter + end for end in ("", _WORD_END) for letter in letters]
    tokens += ["".join(pair) for pair in merges] + [START, END]
    ids = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=ids, merges=cast(Any, merges), model_max_length=CONTEXT_LENGTH)


def _merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges that make each word one token, learned from the words themselves."""
    learner = Tokenizer(models.BPE(end_of_word_suffix=_WORD_END))
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=10_000, min_frequency=1, end_of_word_suffix=_WORD_END, show_progress=False
    )
    learner.train_from_iterator(words, trainer)
    return [(left, right) for left, right in json.loads(learner.to_str())["model"]["merges"]]
