"""A classifier's score is transformers' own, whatever the batch, and a poor model is refused."""

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

import rewards
from rewards import RewardError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = [*SPECIAL, *LETTERS, *[f"##{letter}" for letter in LETTERS], "é", "!"]
LABELS = ["calm", "toxic", "1"]
POSITIONS = 40
TEXTS = ["you fool", "", "a kind and long word of thanks to you all", "été 猫!", "you fool"]

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


def bert(folder: Path, kind=BertForSequenceClassification, **config) -> Path:
    """A BERT of random weights, large ones so that texts differ, in the files of transformers."""
    BertTokenizer(vocab={token: i for i, token in enumerate(VOCABULARY)}).save_pretrained(folder)
    sizes = {**SIZES, "intermediate_size": 32, "max_position_embeddings": POSITIONS}
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {n: i for i, n in enumerate(LABELS)}}
    torch.manual_seed(0)
    made = BertConfig(
        vocab_size=len(VOCABULARY), initializer_range=0.5, **{**sizes, **names, **config}
    )
    kind(made).save_pretrained(folder)
    return folder


def gpt(folder: Path, *, padding: bool) -> Path:
    """A GPT-2 that classifies by the last token of a text; it pads on the left, if at all."""
    words = {word: i for i, word in enumerate(["<pad>", "<unk>", *"abcdefgh"])}
    splitting = Tokenizer(WordLevel(words, unk_token="<unk>"))
    splitting.pre_tokenizer = Whitespace()
    pad = {"pad_token": "<pad>", "padding_side": "left"} if padding else {}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=splitting, unk_token="<unk>", **pad)
    tokenizer.save_pretrained(folder)
    sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS}
    torch.manual_seed(0)
    ends = {"bos_token_id": None, "eos_token_id": None}
    config = GPT2Config(vocab_size=len(words), initializer_range=0.5, num_labels=2, **sizes, **ends)
    GPT2ForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(bert(tmp_path_factory.mktemp("bert")))


def score(model, texts=TEXTS, **options):
    made = rewards.make("classifier", model=str(model), device="cpu", **options)
    # Not through the wrapper, which scores texts alone where a batch fails.
    return made.function(texts, texts)


@torch.no_grad()
def logits(folder, texts=TEXTS):
    """What transformers says of each text alone, without padding."""
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = BertTokenizer.from_pretrained(folder)
    return torch.cat([network(**tokenizer(text, return_tensors="pt")).logits for text in texts])


def test_the_number_is_that_of_transformers(model):
    raw = logits(model)
    assert score(model, label="toxic") == pytest.approx(raw.softmax(1)[:, 1].tolist(), abs=1e-6)
    assert score(model, label="toxic", score="logit") == pytest.approx(raw[:, 1].tolist(), abs=1e-5)
    assert raw.softmax(1)[:, 1].std() > 0.01


def test_inverted_it_is_one_minus_the_probability_or_minus_the_logit(model):
    plain = torch.tensor(score(model, label="toxic"))
    assert score(model, label="toxic", invert=True) == pytest.approx((1 - plain).tolist())
    logit = torch.tensor(score(model, label="toxic", score="logit"))
    assert score(model, label="toxic", score="logit", invert=True) == (-logit).tolist()


def test_a_label_is_a_name_or_an_index(model):
    raw = logits(model).softmax(1)
    for label, index in {"calm": 0, "0": 0, 0: 0, "1": 2, "2": 2}.items():
        assert score(model, label=label) == pytest.approx(raw[:, index].tolist(), abs=1e-6)


@pytest.mark.parametrize("label", ["toxc", 3, -1])
def test_an_unknown_label_is_answered_with_the_known_ones(label, model):
    with pytest.raises(RewardError) as caught:
        score(model, label=label)
    assert f"has no label '{label}'" in str(caught.value)
    assert str(caught.value).endswith("Known: calm (0), toxic (1), 1 (2)")


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_number_does_not_depend_on_the_batch(batch_size, model):
    whole = score(model, label="toxic", score="logit", batch_size=batch_size)
    alone = [score(model, [text], label="toxic", score="logit")[0] for text in TEXTS]
    assert whole == pytest.approx(alone, abs=1e-5)


def test_several_labels_at_once_have_a_sigmoid_each(tmp_path):
    folder = bert(tmp_path, problem_type="multi_label_classification")
    wanted = logits(folder).sigmoid()[:, 1].tolist()
    assert score(folder, label="toxic") == pytest.approx(wanted, abs=1e-6)


def test_a_single_label_has_a_sigmoid(tmp_path):
    folder = bert(tmp_path, id2label={0: "good"}, label2id={"good": 0})
    wanted = logits(folder).sigmoid()[:, 0].tolist()
    assert score(folder, label="good") == pytest.approx(wanted, abs=1e-6)
    assert len(set(wanted)) > 2


def test_a_regression_has_a_number_and_no_probability(tmp_path):
    folder = bert(tmp_path, id2label={0: "x"}, label2id={"x": 0}, problem_type="regression")
    with pytest.raises(RewardError, match="has no probabilities; use score=logit"):
        score(folder, label="x")
    wanted = logits(folder)[:, 0].tolist()
    assert score(folder, label="x", score="logit") == pytest.approx(wanted, abs=1e-5)


def test_a_long_text_is_cut(model):
    start = "a b " * 200
    assert score(model, [start], label=0) == score(model, [start + "c " * 1000], label=0)
    # [CLS], two letters and [SEP].
    cut = score(model, ["a b c d"], label=0, max_length=4)
    assert cut == pytest.approx(score(model, ["a b"], label=0))
    with pytest.raises(RewardError, match=rf"max_length=41, but '.*' reads {POSITIONS} tokens"):
        score(model, label=0, max_length=POSITIONS + 1)


def test_the_first_positions_of_roberta_are_not_for_tokens(tmp_path):
    folder = bert(tmp_path)
    sizes = {**SIZES, "intermediate_size": 32, "max_position_embeddings": POSITIONS}
    config = RobertaConfig(vocab_size=len(VOCABULARY), pad_token_id=1, **sizes)
    RobertaForSequenceClassification(config).save_pretrained(folder)
    made = rewards.make("classifier", model=str(folder), label=0, device="cpu")
    assert made.function.max_length == POSITIONS - 2
    assert len(made(["a " * 100], [""])) == 1


def test_a_text_is_classified_by_its_last_token_whatever_pads_it(tmp_path):
    texts = ["a b c d e f", "c", "b c"]
    padded = gpt(tmp_path / "padded", padding=True)
    plain = gpt(tmp_path / "plain", padding=False)
    alone = [score(padded, [text], label=0, score="logit")[0] for text in texts]
    assert score(padded, texts, label=0, score="logit") == pytest.approx(alone, abs=1e-5)
    assert score(plain, texts, label=0, score="logit") == pytest.approx(alone, abs=1e-5)
    assert len({round(value, 3) for value in alone}) == 3


@pytest.mark.parametrize("padding", [True, False])
def test_a_text_without_a_token_is_not_scored(padding, tmp_path):
    folder = gpt(tmp_path, padding=padding)
    made = rewards.make("classifier", model=str(folder), label=0, device="cpu")
    scored = made.score(["a", "", "b"], ["p", "q", "r"], {})
    assert [(f.row, f.reason) for f in scored.failures] == [(1, "ValueError: a text has no tokens")]
    assert scored.values.tolist()[::2] == pytest.approx(made(["a", "b"], ["", ""]).tolist())


def test_a_model_without_a_head_is_refused(tmp_path):
    folder = bert(tmp_path, kind=BertModel)
    with pytest.raises(RewardError, match=r"no weights for classifier.bias, classifier.weight: it"):
        score(folder, label=0)


def test_a_tokenizer_whose_files_are_missing_is_refused(model, tmp_path):
    for file in ["config.json", "model.safetensors"]:
        shutil.copy(Path(model) / file, tmp_path)
    with pytest.raises(RewardError, match=r"embeds 59 tokens but the tokenizer of '.*' has 5"):
        score(tmp_path, label=0)


def test_a_model_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(RewardError, match="'classifier': cannot load 'no/such'") as caught:
        score("no/such", label=0)
    assert "\n" not in str(caught.value)


def test_model_and_label_are_required():
    with pytest.raises(RewardError, match="'model' is required; option 'label' is required"):
        rewards.make("classifier")


def test_a_device_that_is_not_there_is_refused(model):
    with pytest.raises(RewardError, match="device='gpu' is not there; use cpu"):
        rewards.make("classifier", model=model, label=0, device="gpu")


def test_the_declaration_follows_the_score(model):
    made = rewards.make("classifier", model=model, label=0)
    assert (made.definition.range, made.definition.unit) == ((0.0, 1.0), "probability")
    logit = rewards.make("classifier", model=model, label=0, score="logit")
    assert (logit.definition.range, logit.definition.unit) == (None, "logit")


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_is_close(precision, model):
    half = score(model, label="toxic", precision=precision)
    assert half != score(model, label="toxic")
    assert half == pytest.approx(score(model, label="toxic"), abs=0.05)


def test_it_can_be_pickled_and_takes_an_empty_batch(model):
    made = rewards.make("classifier", model=model, label=0, device="cpu", offload=True)
    again = pickle.loads(pickle.dumps(made))
    assert again(TEXTS, TEXTS).tolist() == made(TEXTS, TEXTS).tolist()
    assert made([], []).shape == (0,)
    assert made.function([], []) == []
