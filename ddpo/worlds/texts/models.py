"""The two architectures, untrained: transformers' own, small, and without dropout.

Without dropout a model that trains and one that samples give the same log-probabilities.
"""

from typing import Any

from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from ddpo.worlds.texts.tokenizer import CONTEXT_LENGTH

WIDTH, HEADS, HIDDEN = 128, 4, 344


def new_seq2seq(tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    """A T5 of three layers that read and two that write."""
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        d_kv=WIDTH // HEADS,
        d_ff=HIDDEN,
        num_heads=HEADS,
        num_layers=3,
        num_decoder_layers=2,
        feed_forward_proj="gated-silu",
        dropout_rate=0.0,
        tie_word_embeddings=True,
        **_special_tokens(tokenizer),
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    return T5ForConditionalGeneration(config)


def new_causal(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of four layers, whose positions are relative: padding on the left changes nothing."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=HIDDEN,
        num_hidden_layers=4,
        num_attention_heads=HEADS,
        max_position_embeddings=CONTEXT_LENGTH,
        attention_dropout=0.0,
        tie_word_embeddings=True,
        initializer_range=0.05,
        **_special_tokens(tokenizer),
    )
    return LlamaForCausalLM(config)


def _special_tokens(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    names = ("pad_token_id", "bos_token_id", "eos_token_id")
    return {name: getattr(tokenizer, name) for name in names}
