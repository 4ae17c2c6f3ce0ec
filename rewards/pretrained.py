"""What transformers loads by name, a folder or a repository on the hub, with its silent failures
turned into errors.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from rewards.errors import RewardError
from rewards.weights import why_not_had

Loaded = TypeVar("Loaded")

SENTINEL = "<extra_id_"
"""How the tokens begin that T5 was trained with and that no prompt holds."""


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
            f"reward '{reward}': cannot load '{source}' ({why_not_had(error)}); give a folder "
            "with all its files"
        ) from error


def load_network(load: Callable[..., Any], source: str, *, reward: str, **options: Any) -> Any:
    """The network of `load(source, **options)`, with none of its weights made up.

    Raises:
        RewardError: as for `load_pretrained`; or weights are missing, which transformers would only
            warn of and replace by random numbers.
    """
    network, report = load_pretrained(
        load, source, reward=reward, output_loading_info=True, **options
    )
    if report["missing_keys"]:
        some = ", ".join(sorted(report["missing_keys"])[:3])
        raise RewardError(
            f"reward '{reward}': '{source}' has no weights for {some}: its files are damaged, or "
            "it was not trained for this; fetch it again, or give a model that was"
        )
    return network


def tokenizer_problem(tokenizer: Any, rows: int, source: str) -> str:
    """Why a tokenizer of transformers does not fit the network that reads it; empty if it does.

    Without its files, or with the hub out of reach, it may load as one of a few special tokens and
    without an error. Sizes may differ: many networks have rows to spare.

    Args:
        tokenizer: the tokenizer.
        rows: of the network's table of embeddings.
        source: a folder, or a repository on the hub, that the tokenizer is from.
    """
    tokens = tokenizer.get_vocab()
    # SigLIP has T5's tokenizer, and no rows for its sentinels.
    needed = sum(not token.startswith(SENTINEL) for token in tokens)
    if len(tokens) > rows / 2 and needed <= rows:
        return ""
    return (
        f"the network embeds {rows} tokens but the tokenizer of '{source}' has {len(tokens)}: its "
        "files are missing or out of reach, or it belongs to another model; give a folder with "
        "all its files"
    )
