"""A tokenizer fits its network or is refused; the pairs are those of published models."""

import pytest
from transformers import BertTokenizer, CLIPTokenizer, T5Tokenizer

from rewards.pretrained import tokenizer_problem


class Words:
    """A tokenizer of so many words, and of so many of T5's sentinels beside them."""

    def __init__(self, words, sentinels=0):
        self.tokens = [*map(str, range(words)), *(f"<extra_id_{i}>" for i in range(sentinels))]

    def get_vocab(self):
        return {token: index for index, token in enumerate(self.tokens)}


@pytest.mark.parametrize(
    ("tokenizer", "rows"),
    [
        pytest.param(Words(49408), 49408, id="CLIP, and both encoders of SDXL"),
        pytest.param(Words(32000, sentinels=100), 32128, id="T5"),
        pytest.param(Words(32000, sentinels=100), 32000, id="SigLIP, with the tokenizer of T5"),
        pytest.param(Words(28, sentinels=100), 128, id="ProtT5"),
        pytest.param(Words(30522), 32000, id="CLIPA, with the tokenizer of BERT"),
        pytest.param(Words(30524), 30524, id="ImageReward"),
        pytest.param(Words(128001), 128100, id="DeBERTa v3"),
        pytest.param(Words(50279), 50432, id="MPT"),
    ],
)
def test_good_pairs_are_no_problem(tokenizer, rows):
    assert tokenizer_problem(tokenizer, rows, "here") == ""


@pytest.mark.parametrize(
    ("kind", "few", "rows"),
    [(CLIPTokenizer, 2, 49408), (BertTokenizer, 5, 30522), (T5Tokenizer, 104, 32128)],
)
def test_what_transformers_makes_up_without_the_hub_is_refused(kind, few, rows):
    made_up = kind.from_pretrained("nobody/nothing")
    assert tokenizer_problem(made_up, rows, "nobody/nothing") == (
        f"the network embeds {rows} tokens but the tokenizer of 'nobody/nothing' has {few}: its "
        "files are missing or out of reach, or it belongs to another model; give a folder with "
        "all its files"
    )


def test_the_sentinels_of_a_real_t5_need_no_rows():
    tokenizer = T5Tokenizer.from_pretrained("nobody/nothing")
    tokenizer.add_tokens([f"word{i}" for i in range(300 - 4)])
    assert len(tokenizer) == 400
    assert tokenizer_problem(tokenizer, 300, "") == ""
    assert tokenizer_problem(tokenizer, 299, "")


@pytest.mark.parametrize(
    ("tokens", "rows"),
    [
        pytest.param(32001, 32000, id="a padding token without a row"),
        pytest.param(49408, 30524, id="CLIP's for a BERT"),
        pytest.param(30522, 119547, id="BERT's for a multilingual BERT"),
    ],
)
def test_a_tokenizer_of_another_model_is_refused(tokens, rows):
    problem = tokenizer_problem(Words(tokens), rows, "elsewhere")
    assert f"embeds {rows} tokens but the tokenizer of 'elsewhere' has {tokens}" in problem
