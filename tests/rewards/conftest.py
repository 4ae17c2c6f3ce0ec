"""What the tests of rewards share: a clean registry, installed plugins, and a tiny CLIP on disk."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import json
import sys
import textwrap

import pytest
import torch

import rewards
from rewards import registry

TINY_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


COUNTING = """
    import os, time
    from rewards import reward

    calls = []

    @reward("counting", modality="text", columns=("reference",), cpu_bound=True)
    def counting(texts, prompts, reference, *, plus: int = 0):
        calls.append(len(texts))
        return [len(text) + len(other) + plus for text, other in zip(texts, reference)]

    @reward("workers_pid", modality="text", cpu_bound=True)
    def workers_pid(texts, prompts):
        time.sleep(0.05)
        return [float(os.getpid())] * len(texts)

    @reward("moody", modality="text", cpu_bound=True)
    def moody(texts, prompts):
        for text in texts:
            if text == "hang":
                time.sleep(60)
            if text == "die":
                os._exit(1)
            if text == "raise":
                raise ValueError("no " + text)
        return [1.0] * len(texts)
"""


@pytest.fixture(autouse=True)
def _clean_registry(monkeypatch):
    """What a test decorates is forgotten after it."""
    monkeypatch.setattr(registry, "_decorated", dict(registry._decorated))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package, as pip would: `install("redness", source, {"redness": "redness:f"})`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def install(package, source, points, group="ddpo.rewards"):
        (tmp_path / f"{package}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {place}" for name, place in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]))

    yield install
    for path in tmp_path.glob("*.py"):
        if path.stem not in before:
            sys.modules.pop(path.stem, None)


@pytest.fixture
def counting(install):
    """A module of rewards that count their calls, name their process, hang, die or raise."""
    install("counting_module", COUNTING, {})
    import counting_module

    return counting_module


@pytest.fixture(scope="module")
def jpeg_url():
    """The URL of a server of `jpeg_compressibility` that takes three samples at once."""
    from tests.support.reward_server import serving

    with serving(rewards.make("jpeg_compressibility"), max_samples=3) as url:
        yield url


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    """A folder with a CLIP of random weights in open_clip's own file format."""
    from open_clip import CLIP
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tiny_clip")
    torch.manual_seed(0)
    model = CLIP(**TINY_CLIP)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
    config = {"model_cfg": TINY_CLIP, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def align(tiny_clip):
    """The reward `clip_alignment` with it."""
    return rewards.make("clip_alignment", model=str(tiny_clip))


@pytest.fixture
def images():
    """Four images, seeded, smooth enough to survive resizing."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(4, 3, 6, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(48, 48), mode="bilinear").clamp(0, 1)


@pytest.fixture
def prompts():
    """A prompt for each image, one of them twice."""
    return ["a red circle", "a blue square", "a red circle", "two green stars"]
