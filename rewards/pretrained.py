"""What transformers loads by name, a folder or a repository on the hub, with its silent failures
turned into errors.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from rewards.errors import RewardError, one_line

Loaded = TypeVar("Loaded")


def load_pretrained(
    load: Callable[..., Loaded], source: str, *, reward: str, **options: Any
) -> Loaded:
    """`load(source, **options)`, where `load` is some `from_pretrained`.

    Raises:
        RewardError: `source` cannot be reached, or its files are missing or damaged.
    """
    try:
        return load(source, **options)
    # The hub's client and the parsers of configurations, tokenizers and weights share no error.
    except Exception as error:
        raise RewardError(
            f"reward '{reward}': cannot load '{source}' ({one_line(error)}); give a folder with "
            "all its files, or the name of a repository on the hub that can be reached"
        ) from error


def check_vocabulary(tokens: int, rows: int, source: str, *, reward: str) -> None:
    """Refuse a tokenizer that does not fit the network that reads its tokens.

    A tokenizer whose files are missing may load as one of a few special tokens, without an error.

    Args:
        tokens: that the tokenizer of `source` knows.
        rows: of the network's table of embeddings.
        source: a folder, or a repository on the hub.
        reward: its name, for the message.

    Raises:
        RewardError: the two are not the same number.
    """
    if tokens != rows:
        raise RewardError(
            f"reward '{reward}': the network embeds {rows} tokens but the tokenizer of '{source}' "
            f"has {tokens}: its files are missing, or it belongs to another model"
        )
