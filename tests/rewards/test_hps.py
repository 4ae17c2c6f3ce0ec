import copy
import pickle

import open_clip
import pytest
import torch
from open_clip import factory
from torch.nn.functional import interpolate, pad

import rewards
from rewards import RewardError, weights
from rewards.image.hps import WEIGHTS
from rewards.testing import check_reward
from tests.support.preference_models import TINY_HPS, tiny_hps

LONG = "a red circle on a blue square " * 50
ODD_PROMPTS = ["", LONG, "été 猫 🐈", "a red circle"]
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_hps(tmp_path_factory.mktemp("models") / "HPS_v2.1_compressed.pt")


@pytest.fixture
def make(checkpoint, monkeypatch):
    monkeypatch.setitem(factory._MODEL_CONFIGS, "Tiny-HPS", copy.deepcopy(TINY_HPS))
    defaults = {"checkpoint": str(checkpoint), "architecture": "Tiny-HPS"}
    return lambda **options: rewards.make("hps", **(defaults | options))


def by_open_clip(checkpoint, squares, prompts):
    """Cosines for images that the network can read as they are."""
    model = open_clip.CLIP(**copy.deepcopy(TINY_HPS)).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["state_dict"])
    channels = ((squares[:, i : i + 1] - MEAN[i]) / STD[i] for i in range(3))
    with torch.no_grad():
        seen = model.encode_image(torch.cat([*channels], dim=1))
        read = model.encode_text(open_clip.tokenize(prompts, context_length=16))
    return torch.cosine_similarity(seen, read).tolist()


def test_the_value_is_the_cosine_without_a_temperature(make, checkpoint, images, prompts):
    squares = images[:, :, :32, :32]
    expected = by_open_clip(checkpoint, squares, prompts)
    assert make()(squares, prompts).tolist() == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 0.05


def test_the_whole_image_is_seen_between_black_bars(make, checkpoint, images, prompts):
    flat = images[:, :, :15, :32]
    expected = by_open_clip(checkpoint, pad(flat, (0, 0, 8, 9)), prompts)
    assert make()(flat, prompts).tolist() == pytest.approx(expected, abs=1e-5)


def test_resizing_is_bicubic_antialiased_and_not_clamped(make, checkpoint, prompts):
    tall = torch.zeros(4, 3, 96, 66)
    tall[:2, ..., ::3], tall[2:, :, 40:] = 1, 1
    resized = interpolate(tall, size=(32, 22), mode="bicubic", antialias=True)
    assert resized.max() > 1.01
    expected = by_open_clip(checkpoint, pad(resized, (5, 5)), prompts)
    assert make()(tall, prompts).tolist() == pytest.approx(expected, abs=1e-5)


def test_the_contract_holds(make):
    check_reward(make(batch_size=2))


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (90, 33)])
def test_any_size_and_any_prompt_has_a_number(make, size):
    grey = torch.full((4, 3, *size), 0.5)
    assert make()(grey, ODD_PROMPTS).isfinite().all()


def test_no_images_have_no_numbers(make):
    assert make().function(torch.rand(0, 3, 32, 32), []).shape == (0,)


def test_batch_size_and_precision_change_the_numbers_little(make, images, prompts):
    full = make()(images, prompts)
    assert torch.allclose(make(batch_size=3)(images, prompts), full, atol=1e-6)
    assert torch.allclose(make(precision="bf16")(images, prompts), full, atol=0.05)


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


def test_the_published_weights_are_pinned(make, checkpoint, monkeypatch):
    monkeypatch.setattr(weights, "hf_hub_download", lambda *_: str(checkpoint))
    with pytest.raises(RewardError, match=f"checksum [0-9a-f]+, not {WEIGHTS.sha256}"):
        make(checkpoint=WEIGHTS.source)
    assert len(WEIGHTS.sha256) == 64
    with pytest.raises(RewardError, match="checksum"):
        make(sha256="0" * 64)


def test_a_wrong_architecture_is_answered_with_the_nearest(make, tmp_path):
    with pytest.raises(RewardError, match="no architecture 'ViT-H14'; did you mean 'ViT-H-14'"):
        make(architecture="ViT-H14")
    with pytest.raises(RewardError, match="open_clip has no architecture"):
        make(architecture=str(tmp_path))


def test_weights_of_another_network_are_refused_in_one_line(make, tmp_path):
    torch.save({"state_dict": {"something": torch.zeros(2)}}, tmp_path / "other.pt")
    (tmp_path / "broken.pt").write_bytes(b"not a torch file")
    for name in ("other.pt", "broken.pt", "absent.pt"):
        with pytest.raises(RewardError, match=name) as caught:
            make(checkpoint=str(tmp_path / name))
        assert "\n" not in str(caught.value)
