import json
import pickle
import shutil
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.transforms.functional import to_pil_image

import rewards
from rewards import RewardError
from rewards.testing import check_reward
from tests.support.preference_models import tiny_pickscore

LONG = "a red circle on a blue square " * 50
ODD_PROMPTS = ["", LONG, "été 猫 🐈", "a red circle"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_pickscore(tmp_path_factory.mktemp("models") / "pickscore")


@pytest.fixture
def make(folder):
    return lambda **options: rewards.make(
        "pickscore", **({"model": str(folder), "processor": str(folder)} | options)
    )


def by_transformers(folder, images, prompts):
    """`logits_per_image` of each pair, through transformers' own processing of image files."""
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(folder)
    processor: Any = CLIPProcessor.from_pretrained(folder)
    with torch.no_grad():
        inputs = processor(
            text=prompts,
            images=[to_pil_image(image) for image in images],
            padding=True,
            truncation=True,
            max_length=16,
            return_tensors="pt",
        )
        return model(**inputs).logits_per_image.diagonal().tolist()


def in_steps(images):
    """As an image file holds it."""
    return (images * 255).round() / 255


def test_the_value_is_transformers_logit(make, folder, images, prompts):
    fitting = in_steps(images)[:, :, :32, :32]
    expected = by_transformers(folder, fitting, prompts)
    assert make()(fitting, prompts).tolist() == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 1


@pytest.mark.parametrize("size", [(32, 35), (37, 32), (32, 47)])
def test_the_centre_is_cut_out_to_the_pixel(make, folder, size):
    wide = in_steps(torch.rand(4, 3, *size, generator=torch.Generator().manual_seed(4)))
    expected = by_transformers(folder, wide, ODD_PROMPTS)
    assert make()(wide, ODD_PROMPTS).tolist() == pytest.approx(expected, abs=1e-4)


def test_resizing_is_bicubic_antialiased_and_keeps_the_shape(make, folder):
    """To the rounding of pixels in an image file, of which the score has a few hundredths."""
    large = in_steps(torch.rand(4, 3, 70, 100, generator=torch.Generator().manual_seed(4)))
    large[1, :, :, ::3] = 1
    expected = by_transformers(folder, large, ODD_PROMPTS)
    assert make()(large, ODD_PROMPTS).tolist() == pytest.approx(expected, abs=0.1)


def test_the_contract_holds(make):
    made = make(batch_size=2)
    check_reward(made)
    assert made.definition.range == pytest.approx((-made.function.scale, made.function.scale))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (90, 33)])
def test_any_size_and_any_prompt_has_a_number(make, size):
    grey = torch.full((4, 3, *size), 0.5)
    assert make()(grey, ODD_PROMPTS).isfinite().all()
    assert make()(grey.half(), ODD_PROMPTS).isfinite().all()


def test_a_long_prompt_is_cut(make, images):
    made = make()
    cut = made(images[:1], [LONG])
    assert torch.equal(cut, made(images[:1], [LONG + " and a green star"]))


def test_no_images_have_no_numbers(make):
    assert make().function(torch.rand(0, 3, 32, 32), []).shape == (0,)


def test_batch_size_and_precision_change_the_numbers_little(make, images, prompts):
    full = make()(images, prompts)
    assert torch.allclose(make(batch_size=3)(images, prompts), full, atol=1e-4)
    # 8 bits of mantissa: a score within ±14 is good to some tenths.
    assert torch.allclose(make(precision="bf16")(images, prompts), full, atol=0.5)


def test_a_pickled_copy_gives_the_same_numbers(make, images, prompts):
    made = make()
    first = made(images, prompts)
    copy = pickle.loads(pickle.dumps(made))
    assert torch.equal(copy(images, prompts), first)


def test_gradients_flow_to_every_image_only_if_asked(make, images, prompts):
    images = images.requires_grad_()
    assert not make()(images, prompts).requires_grad
    assert not make().definition.differentiable
    make(differentiable=True, batch_size=3)(images, prompts).sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()
    with pytest.raises(RewardError, match="differentiable=True needs offload=False"):
        make(differentiable=True, offload=True)


def test_making_and_scoring_leave_the_random_numbers_alone(make, images, prompts):
    before = torch.random.get_rng_state()
    make()(images, prompts)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_tokenizer_without_its_files_is_refused(make, folder, tmp_path):
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(folder / name, tmp_path)
    with pytest.raises(RewardError, match=r"reward 'pickscore': .*tokenizer") as caught:
        make(processor=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_tokenizer_of_another_model_is_refused(make, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "other")
    (tmp_path / "other" / "vocab.json").write_text(
        json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1})
    )
    (tmp_path / "other" / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(RewardError, match=r"embeds \d+ tokens but the tokenizer of .* has 2"):
        make(processor=str(tmp_path / "other"))


@pytest.mark.parametrize("wrong", [{"size": {"height": 32, "width": 32}}, {"crop_size": 16}])
def test_a_processor_for_another_network_is_refused(make, folder, tmp_path, wrong):
    shutil.copytree(folder, tmp_path / "other")
    config = tmp_path / "other" / "preprocessor_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | wrong))
    with pytest.raises(RewardError, match=r"needs size\.shortest_edge and a crop_size of 32×32"):
        make(processor=str(tmp_path / "other"))


def test_missing_weights_are_not_random_ones(make, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "partial")
    weights = tmp_path / "partial" / "model.safetensors"
    state = load_file(weights)
    del state["visual_projection.weight"]
    save_file(state, weights, metadata={"format": "pt"})
    with pytest.raises(RewardError, match=r"has no weights for visual_projection\.weight:"):
        make(model=str(tmp_path / "partial"))


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("model", "cannot load 'nobody/nothing'"),
        # transformers makes up a tokenizer instead of an error.
        ("processor", "the tokenizer of 'nobody/nothing' has 2: its files are missing"),
    ],
)
def test_what_cannot_be_reached_is_one_line(make, option, complaint):
    with pytest.raises(RewardError) as caught:
        make(**{option: "nobody/nothing"})
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
