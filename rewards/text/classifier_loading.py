"""Loading a text classifier, with checks that nothing it lacks was made up on the way."""

from typing import Any

from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rewards.errors import RewardError, did_you_mean
from rewards.pretrained import load_network, load_pretrained, tokenizer_problem

REWARD = "classifier"

# A tokenizer that was saved without a limit names a number above this one.
NO_LIMIT = 10**9


def load_classifier(source: str) -> tuple[Any, Any]:
    """The network and its tokenizer, from a folder or `owner/name` on the hub.

    Batches may be padded on the right: the two agree on the token that pads, if there is one.

    Raises:
        RewardError: it cannot be reached, some weights are missing, or the tokenizer does not fit.
    """
    # Code beside the weights is never run.
    network = load_network(
        AutoModelForSequenceClassification.from_pretrained,
        source,
        reward=REWARD,
        trust_remote_code=False,
    )
    tokenizer = load_pretrained(
        AutoTokenizer.from_pretrained, source, reward=REWARD, trust_remote_code=False
    )
    rows = network.get_input_embeddings().num_embeddings
    if problem := tokenizer_problem(tokenizer, rows, source):
        raise RewardError(f"reward '{REWARD}': {problem}")
    # Networks that read the last token of a text find it by the one that pads.
    network.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    # Positions are counted from the left, so padding on the right leaves them as they are.
    tokenizer.padding_side = "right"
    return network, tokenizer


def label_index(label: str | int, names: dict[int, str], source: str) -> int:
    """The index of a label given by its name or, where no name is like that, by its index.

    Raises:
        RewardError: there is none; the message lists those that there are.
    """
    indices = {str(index): index for index in names} | {name: i for i, name in names.items()}
    if str(label) not in indices:
        known = ", ".join(f"{name} ({index})" for index, name in names.items())
        hint = did_you_mean(str(label), names.values()) or "."
        raise RewardError(
            f"reward '{REWARD}': '{source}' has no label '{label}'{hint} Known: {known}"
        )
    return indices[str(label)]


def token_limit(wanted: int | None, network: Any, tokenizer: Any, source: str) -> int | None:
    """How many tokens of a text are read: those wanted, or all that can be; None for any number.

    Raises:
        RewardError: more are wanted than the network has positions for.
    """
    positions = _positions(network)
    if wanted and wanted > positions:
        raise RewardError(
            f"reward '{REWARD}': max_length={wanted}, but '{source}' reads {positions} tokens"
        )
    limit = wanted or min(tokenizer.model_max_length, positions)
    return limit if limit < NO_LIMIT else None


def _positions(network: Any) -> int:
    """Tokens that the network has positions for: a token beyond them stops a GPU for good."""
    positions = getattr(network.config, "max_position_embeddings", None) or NO_LIMIT
    words = network.get_input_embeddings()
    tables = (part for part in network.modules() if isinstance(part, nn.Embedding))
    for table in tables:
        places = table.num_embeddings == positions and table is not words
        # RoBERTa and its kin count positions from the place after the one for padding.
        if places and table.padding_idx is not None:
            return positions - table.padding_idx - 1
    return positions
