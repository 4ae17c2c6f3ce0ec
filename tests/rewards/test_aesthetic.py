import hashlib
import itertools
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import rewards
from rewards import RewardError
from rewards.image import aesthetic
from rewards.image.aesthetic import AestheticHead, load_head
from rewards.testing import check_reward

WIDTHS = [16, 12, 10, 8, 6, 1]  # the tiny CLIP gives 16 numbers
LINEAR = (0, 2, 4, 6, 7)


def random_state(widths):
    generator = torch.Generator().manual_seed(3)
    state = {}
    for layer, (wide, narrow) in zip(LINEAR, itertools.pairwise(widths), strict=True):
        state[f"layers.{layer}.weight"] = torch.randn(narrow, wide, generator=generator) / 3
        state[f"layers.{layer}.bias"] = torch.randn(narrow, generator=generator)
    return state


@pytest.fixture
def state():
    return random_state(WIDTHS)


@pytest.fixture
def head(state, tmp_path):
    save_file(state, tmp_path / "head.safetensors")
    return tmp_path / "head.safetensors"


@pytest.fixture
def rate(tiny_clip, head):
    return rewards.make("aesthetic", model=str(tiny_clip), head=str(head))


def affine(state, vectors):
    """Five matrix products, in float64 and without a tensor library."""
    values = np.asarray(vectors, np.float64)
    for layer in LINEAR:
        weight = state[f"layers.{layer}.weight"].numpy().astype(np.float64)
        bias = state[f"layers.{layer}.bias"].numpy().astype(np.float64)
        values = values @ weight.T + bias
    return values[:, 0]


def test_the_head_is_five_matrix_products(state, head):
    vectors = torch.randn(7, 16, generator=torch.Generator().manual_seed(4))
    expected = affine(state, vectors)
    assert expected.std() > 0.1
    assert load_head(head).eval()(vectors).tolist() == pytest.approx(expected, abs=1e-5)


def test_the_head_has_the_published_layers():
    made = AestheticHead([768, 1024, 128, 64, 16, 1])
    shapes = {name: tuple(tensor.shape) for name, tensor in made.state_dict().items()}
    assert shapes == {
        "layers.0.weight": (1024, 768),
        "layers.0.bias": (1024,),
        "layers.2.weight": (128, 1024),
        "layers.2.bias": (128,),
        "layers.4.weight": (64, 128),
        "layers.4.bias": (64,),
        "layers.6.weight": (16, 64),
        "layers.6.bias": (16,),
        "layers.7.weight": (1, 16),
        "layers.7.bias": (1,),
    }
    assert [layer.p for layer in made.layers if isinstance(layer, torch.nn.Dropout)] == [
        0.2,
        0.2,
        0.1,
    ]


def test_the_value_is_the_head_of_open_clips_embedding(rate, state, tiny_clip, images):
    import open_clip

    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{tiny_clip}")
    fitting = images[:, :, :32, :32]
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    with torch.no_grad():
        seen = model.encode_image((fitting - mean.view(3, 1, 1)) / std.view(3, 1, 1)).numpy()
    seen = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    values = rate(fitting, ["anything"] * 4)
    assert values.tolist() == pytest.approx(affine(state, seen), abs=1e-5)
    assert torch.equal(rate(fitting, ["nothing"] * 4), values)


def test_both_formats_and_a_checksum(rate, state, tiny_clip, tmp_path, images, prompts):
    file = tmp_path / "head.pth"
    torch.save(state, file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    options = {"model": str(tiny_clip), "head": str(file)}
    made = rewards.make("aesthetic", **options, sha256=sha256)
    assert torch.equal(made(images, prompts), rate(images, prompts))
    with pytest.raises(RewardError, match="have the checksum"):
        rewards.make("aesthetic", **options, sha256="0" * 64)


def test_the_published_head_is_pinned(tiny_clip, tmp_path, monkeypatch):
    asked = []

    def find(source, **options):
        asked.append((source, options))
        torch.save(random_state([768, 8, 7, 6, 5, 1]), tmp_path / "laion.pth")
        return tmp_path / "laion.pth"

    monkeypatch.setattr(aesthetic, "find_weights", find)
    with pytest.raises(RewardError, match=r"head 'laion' is for embeddings of 768 numbers.* 16;"):
        rewards.make("aesthetic", model=str(tiny_clip))
    (source, options), declared = asked[0], rewards.definition("aesthetic").weights[1]
    assert source == declared.source
    assert source.endswith("/sac%2Blogos%2Bava1-l14-linearMSE.pth")
    assert options["published"] == declared
    assert len(declared.sha256) == 64


def test_an_installed_head_is_found_by_name(install, tiny_clip, head, rate, images, prompts):
    source = f"def path():\n    return {str(head)!r}\n\ndef broken():\n    raise OSError('x')\n"
    places = {"tiny": "heads:path", "bad": "heads:broken"}
    install("heads", source, places, "ddpo.aesthetic_heads")
    made = rewards.make("aesthetic", model=str(tiny_clip), head="tiny")
    assert torch.equal(made(images, prompts), rate(images, prompts))
    with pytest.raises(RewardError, match="is called 'tinny'; did you mean 'tiny'"):
        rewards.make("aesthetic", model=str(tiny_clip), head="tinny")
    with pytest.raises(RewardError, match=r"installed aesthetic head 'bad' .*OSError: x"):
        rewards.make("aesthetic", model=str(tiny_clip), head="bad")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"layers.4.bias": None}, "missing layers.4.bias, unknown none"),
        ({"layers.8.weight": torch.zeros(1, 1)}, "missing none, unknown layers.8.weight"),
        ({"layers.2.weight": torch.zeros(10, 11)}, "do not fit each other"),
        ({"layers.0.weight": torch.zeros(12)}, "do not fit each other"),
        ({"layers.7.weight": torch.zeros(2, 6), "layers.7.bias": torch.zeros(2)}, "ends in 2"),
    ],
)
def test_a_file_that_is_no_head_is_refused(state, tmp_path, change, complaint):
    changed = {key: tensor for key, tensor in (state | change).items() if tensor is not None}
    save_file(changed, tmp_path / "other.safetensors")
    with pytest.raises(RewardError, match=complaint) as caught:
        load_head(tmp_path / "other.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["https://example.org/head.pth", "hf-hub:nobody/nothing/head"])
def test_a_head_out_of_reach_is_one_line(tiny_clip, where):
    with pytest.raises(RewardError, match="reward 'aesthetic': the weights") as caught:
        rewards.make("aesthetic", model=str(tiny_clip), head=where)
    assert "\n" not in str(caught.value)


def test_the_contract(tiny_clip, head):
    check_reward("aesthetic", options={"model": str(tiny_clip), "head": str(head)})


def test_numbers_do_not_depend_on_the_batch_size(rate, tiny_clip, head, images, prompts):
    small = rewards.make("aesthetic", model=str(tiny_clip), head=str(head), batch_size=3)
    assert torch.allclose(small(images, prompts), rate(images, prompts), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1024, 1024)])
def test_any_size_and_no_images(rate, size):
    grey = torch.full((2, 3, *size), 0.5)
    assert rate(grey, ["a", "b"]).isfinite().all()
    assert rate.function(grey[:0], []).shape == (0,)


@pytest.mark.parametrize(("precision", "within"), [("bf16", 0.05), ("fp16", 0.01)])
def test_a_lower_precision_is_close(rate, tiny_clip, head, images, prompts, precision, within):
    made = rewards.make("aesthetic", model=str(tiny_clip), head=str(head), precision=precision)
    values, exact = made(images.half(), prompts), rate(images.half(), prompts)
    assert values.dtype == torch.float32
    assert torch.allclose(values, exact, atol=within)
    assert not torch.equal(values, exact)


def test_the_gradient_is_the_slope(tiny_clip, head, images, prompts):
    made = rewards.make("aesthetic", model=str(tiny_clip), head=str(head), differentiable=True)
    images = images[:, :, :32, :32].clone().requires_grad_()
    made(images, prompts).sum().backward()
    for pixel in [(0, 0, 3, 4), (1, 2, 17, 30), (3, 1, 9, 9)]:
        nudge = torch.zeros_like(images)
        nudge[pixel] = 0.1
        with torch.no_grad():
            rise = made.function(images + nudge, prompts) - made.function(images - nudge, prompts)
        slope = rise.sum().item() / 0.2
        assert slope == pytest.approx(images.grad[pixel].item(), rel=0.02, abs=1e-5)


def test_gradients_flow_only_if_asked_and_allowed(rate, tiny_clip, head, images, prompts):
    images.requires_grad_()
    assert not rate.definition.differentiable
    assert not rate.function(images, prompts).requires_grad
    made = rewards.make("aesthetic", model=str(tiny_clip), head=str(head), differentiable=True)
    assert made.function(images, prompts).requires_grad
    with torch.no_grad():
        assert not made.function(images, prompts).requires_grad
    with pytest.raises(RewardError, match="differentiable=True needs offload=False"):
        rewards.make("aesthetic", differentiable=True, offload=True)


def test_offloading_does_not_change_the_numbers(rate, tiny_clip, head, images, prompts):
    made = rewards.make("aesthetic", model=str(tiny_clip), head=str(head), offload=True)
    assert torch.equal(made(images, prompts), rate(images, prompts))


def test_it_survives_pickling(rate, images, prompts):
    again = pickle.loads(pickle.dumps(rate))
    assert torch.equal(again(images, prompts), rate(images, prompts))
