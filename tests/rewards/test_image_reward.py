"""The reference is BLIP and ImageReward's head written down anew, from the published names."""

import pickle

import pytest
import torch
from torch.nn.functional import conv2d, gelu, interpolate, layer_norm, linear

import rewards
from rewards import RewardError, weights
from rewards.image.blip_loading import load_blip_scorer
from rewards.image.image_reward import WEIGHTS
from rewards.testing import check_reward
from tests.support.preference_models import (
    BLIP_TEXT,
    BLIP_VISION,
    HEAD_LAYERS,
    WORDS,
    bert_tokenizer,
    tiny_image_reward,
)

LONG = "a red circle left of a blue square " * 50
ODD_PROMPTS = ["", LONG, "été 猫 🐈", "a red circle"]
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny_image_reward(tmp_path_factory.mktemp("image_reward"))


@pytest.fixture
def make(files):
    defaults = {"checkpoint": str(files[0]), "tokenizer": str(files[1])}
    return lambda **options: rewards.make("image_reward", **(defaults | options))


class Reference:
    """The network of one image and one prompt, in float64, by the published names."""

    def __init__(self, file):
        state = torch.load(file, weights_only=True)
        self.state = {k: v.double() for k, v in state.items() if v.is_floating_point()}

    def reward(self, square, tokens):
        """Of an image `[3, S, S]` in [0, 1] and its tokens, padding left out."""
        read = self.bert(tokens, self.vision(square))[0]
        for layer in HEAD_LAYERS:
            read = self.dense(f"mlp.layers.{layer}", read)
        return ((read.item()) - 0.16717362830052426) / 1.0333394966054072

    def vision(self, square):
        start = "blip.visual_encoder."
        pixels = (square.double() - self.column(MEAN)) / self.column(STD)
        kernel, bias = (self.state[f"{start}patch_embed.proj.{p}"] for p in ("weight", "bias"))
        patches = conv2d(pixels[None], kernel, bias, stride=BLIP_VISION["patch"])[0].flatten(1).T
        x = torch.cat([self.state[f"{start}cls_token"][0], patches])
        x = x + self.state[f"{start}pos_embed"][0]
        for number in range(BLIP_VISION["layers"]):
            block = f"{start}blocks.{number}."
            qkv = self.dense(f"{block}attn.qkv", self.norm(f"{block}norm1", x, 1e-6))
            x = x + self.dense(f"{block}attn.proj", self.attend(*qkv.chunk(3, dim=1)))
            hidden = gelu(self.dense(f"{block}mlp.fc1", self.norm(f"{block}norm2", x, 1e-6)))
            x = x + self.dense(f"{block}mlp.fc2", hidden)
        return self.norm(f"{start}norm", x, 1e-6)

    def bert(self, tokens, image):
        start = "blip.text_encoder."
        x = self.state[f"{start}embeddings.word_embeddings.weight"][tokens]
        x = x + self.state[f"{start}embeddings.position_embeddings.weight"][: len(tokens)]
        x = self.norm(f"{start}embeddings.LayerNorm", x, 1e-12)
        for number in range(BLIP_TEXT["layers"]):
            block = f"{start}encoder.layer.{number}."
            x = self.bert_attention(f"{block}attention.", x, x)
            x = self.bert_attention(f"{block}crossattention.", x, image)
            hidden = gelu(self.dense(f"{block}intermediate.dense", x))
            x = self.norm(
                f"{block}output.LayerNorm", x + self.dense(f"{block}output.dense", hidden), 1e-12
            )
        return x

    def bert_attention(self, name, x, seen):
        query = self.dense(f"{name}self.query", x)
        key, value = self.dense(f"{name}self.key", seen), self.dense(f"{name}self.value", seen)
        out = self.dense(f"{name}output.dense", self.attend(query, key, value))
        return self.norm(f"{name}output.LayerNorm", x + out, 1e-12)

    def attend(self, query, key, value):
        heads = [
            torch.softmax(q @ k.T / 8, dim=1) @ v  # √64
            for q, k, v in zip(*(t.split(64, dim=1) for t in (query, key, value)), strict=True)
        ]
        return torch.cat(heads, dim=1)

    def dense(self, name, x):
        return linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def norm(self, name, x, epsilon):
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return layer_norm(x, weight.shape, weight, bias, epsilon)

    @staticmethod
    def column(values):
        return torch.tensor(values, dtype=torch.float64)[:, None, None]


def tokens(*words):
    """[CLS] words [SEP] by the order in which `bert_tokenizer` lists them."""
    return [2, *(5 + WORDS.index(word) for word in words), 3]


CASES = [
    ("a red circle", tokens("a", "red", "circle")),
    ("", tokens()),
    ("Two Blue stars", tokens("two", "blue", "stars")),
    ("red " * 50, [2, *[5 + WORDS.index("red")] * 33, 3]),
    ("red 猫", [2, 5 + WORDS.index("red"), 1, 3]),
]


def test_the_value_is_that_of_the_published_network(make, files):
    squares = torch.rand(len(CASES), 3, 32, 32, generator=torch.Generator().manual_seed(1))
    network = Reference(files[0])
    expected = [
        network.reward(square, ids) for square, (_, ids) in zip(squares, CASES, strict=True)
    ]
    prompts = [prompt for prompt, _ in CASES]
    assert make()(squares, prompts).tolist() == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 0.3


def test_nearly_equal_inputs_show_the_precision_of_the_layer_norms(make, files, tmp_path):
    small = ("cls_token", "pos_embed", "patch_embed", ".embeddings.word", ".embeddings.position_e")
    state = torch.load(files[0], weights_only=True)
    for name in state:
        if any(part in name for part in small):
            state[name] *= 1e-3 if "visual" in name else 1e-5
    torch.save(state, tmp_path / "small.pt")
    square = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = Reference(tmp_path / "small.pt").reward(square[0], tokens("a", "red", "star"))
    made = make(checkpoint=str(tmp_path / "small.pt"))
    assert made(square, ["a red star"]).item() == pytest.approx(expected, abs=1e-4)


def test_every_tensor_of_the_reward_counts(files):
    """A tensor that the conversion lost, or took from elsewhere, would not change the number."""
    state = torch.load(files[0], weights_only=True)
    generator = torch.Generator().manual_seed(1)
    pixels, ids = torch.randn(1, 3, 32, 32, generator=generator), torch.tensor([tokens("a", "red")])

    def number(state):
        return load_blip_scorer(state, where="").eval()(pixels, ids, torch.ones_like(ids)).item()

    before = number(state)
    # A key's bias adds the same to all scores of a query, which softmax takes away again.
    unused = ("blip.vision_proj", "position_ids", "self.key.bias")
    silent = []
    for name in state:
        if any(part in name for part in unused):
            continue
        noise = 0.1 * torch.randn(state[name].shape, generator=generator)
        if abs(number(state | {name: state[name] + noise}) - before) < 1e-6:
            silent.append(name)
    assert silent == []


def test_the_shorter_side_is_resized_and_the_centre_cut_out(make, files):
    wide = torch.rand(1, 3, 64, 100, generator=torch.Generator().manual_seed(1))
    wide[..., 40:60], wide[..., 60:] = 0, 1
    resized = interpolate(wide, size=(32, 50), mode="bicubic", antialias=True)
    assert resized.max() > 1.01
    square = resized[0, :, :, 9:41].clamp(0, 1)
    expected = Reference(files[0]).reward(square, tokens("a", "red", "star"))
    assert make()(wide, ["a red star"]).item() == pytest.approx(expected, abs=1e-4)


def test_a_training_checkpoint_is_unwrapped(make, files, tmp_path, images, prompts):
    torch.save({"state_dict": torch.load(files[0], weights_only=True)}, tmp_path / "wrapped.pt")
    wrapped = make(checkpoint=str(tmp_path / "wrapped.pt"))
    assert torch.equal(wrapped(images, prompts), make()(images, prompts))


def test_the_contract_holds(make):
    check_reward(make(batch_size=2))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (90, 33)])
def test_any_size_and_any_prompt_has_a_number(make, size):
    grey = torch.full((4, 3, *size), 0.5)
    assert make()(grey, ODD_PROMPTS).isfinite().all()


def test_no_images_have_no_numbers(make):
    assert make().function(torch.rand(0, 3, 32, 32), []).shape == (0,)


def test_batch_size_and_precision_change_the_numbers_little(make, images, prompts):
    full = make()(images, prompts)
    assert torch.allclose(make(batch_size=3)(images, prompts), full, atol=1e-5)
    assert torch.allclose(make(precision="bf16")(images, prompts), full, atol=0.1)


def test_a_pickled_copy_gives_the_same_numbers(make, images, prompts):
    made = make()
    first = made(images, prompts)
    assert torch.equal(pickle.loads(pickle.dumps(made))(images, prompts), first)


def test_gradients_flow_to_every_image_only_if_asked(make, images, prompts):
    images = images.requires_grad_()
    assert not make()(images, prompts).requires_grad
    make(differentiable=True, batch_size=3)(images, prompts).sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()
    with pytest.raises(RewardError, match="differentiable=True needs offload=False"):
        make(differentiable=True, offload=True)


def test_making_and_scoring_leave_the_random_numbers_alone(make, images, prompts):
    before = torch.random.get_rng_state()
    make()(images, prompts)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_published_weights_are_pinned(make, files, monkeypatch):
    monkeypatch.setattr(weights, "hf_hub_download", lambda *_: str(files[0]))
    with pytest.raises(RewardError, match=f"checksum [0-9a-f]+, not {WEIGHTS.sha256}"):
        make(checkpoint=WEIGHTS.source)
    assert len(WEIGHTS.sha256) == 64
    with pytest.raises(RewardError, match="checksum"):
        make(sha256="0" * 64)


@pytest.mark.parametrize(
    "name",
    [
        "blip.visual_encoder.pos_embed",
        "blip.visual_encoder.blocks.1.attn.qkv.bias",
        "blip.text_encoder.encoder.layer.1.crossattention.self.value.weight",
        "mlp.layers.7.bias",
    ],
)
def test_a_missing_tensor_is_named_in_one_line(make, files, tmp_path, name):
    state = torch.load(files[0], weights_only=True)
    del state[name]
    torch.save(state, tmp_path / "partial.pt")
    with pytest.raises(RewardError, match=r"partial\.pt' are not of ImageReward") as caught:
        make(checkpoint=str(tmp_path / "partial.pt"))
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_or_none_are_refused(make, files, tmp_path):
    state = torch.load(files[0], weights_only=True)
    state["blip.visual_encoder.norm.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "shapes.pt")
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pt")
    for name in ("shapes.pt", "other.pt", "absent.pt"):
        with pytest.raises(RewardError, match=name) as caught:
            make(checkpoint=str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_a_tokenizer_that_does_not_fit_is_refused(make, tmp_path):
    # transformers makes up one of five tokens, beside BLIP's own two.
    with pytest.raises(RewardError, match=r"embeds \d+ tokens but the tokenizer of .* has 7:"):
        make(tokenizer="nobody/nothing")
    bert_tokenizer(tmp_path / "large", [f"word{i}" for i in range(99)])
    with pytest.raises(RewardError, match=r"embeds \d+ tokens but the tokenizer of .* has \d+:"):
        make(tokenizer=str(tmp_path / "large"))
    with pytest.raises(RewardError, match="reward 'image_reward': cannot load"):
        make(tokenizer=str(tmp_path / "absent"))
