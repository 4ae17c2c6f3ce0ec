import subprocess
import sys

import pytest
import torch

import rewards
from rewards import RewardError, registry, reward

REDNESS = """
    from rewards import reward

    @reward("redness", modality="image")
    def redness(images, prompts):
        \"\"\"How red it is.\"\"\"
        return images[:, 0].mean(dim=(1, 2))
"""


def test_every_public_name_is_listed():
    assert sorted(rewards.__all__) == [
        "Definition",
        "Explained",
        "RewardError",
        "UnavailableError",
        "Weights",
        "definition",
        "make",
        "names",
        "reward",
    ]


def test_listing_imports_no_tensor_library_and_is_quick():
    code = (
        "import sys, time; start = time.perf_counter(); import rewards; found = rewards.names();"
        "spent = time.perf_counter() - start;"
        "heavy = {'torch', 'numpy', 'PIL', 'pydantic', 'open_clip'} & set(sys.modules);"
        "assert 'jpeg_compressibility' in found and not heavy, heavy; assert spent < 0.3, spent"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rewards_never_imports_ddpo():
    code = (
        "import pkgutil, sys; sys.modules['ddpo'] = None; import rewards, importlib\n"
        "for module in pkgutil.walk_packages(rewards.__path__, 'rewards.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        "assert not [name for name in sys.modules if name.startswith('ddpo.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", sorted(registry.BUILT_IN))
def test_the_table_names_the_place_and_name_of_each_built_in(name):
    found = rewards.definition(name)
    assert (found.name, found.place) == (name, registry.BUILT_IN[name])


def test_the_decorator_keeps_the_function_and_attaches_the_definition():
    @reward("brightness", modality="image", range=(0.0, 1.0), unit="share", columns=("mask",))
    def brightness(images, prompts, mask):
        """Mean of all pixels. Not perceptual.

        More.
        """
        return images.mean(dim=(1, 2, 3))

    found = rewards.definition("brightness")
    assert found.factory is brightness
    assert found.description == "Mean of all pixels."
    assert (found.range, found.unit, found.columns) == ((0.0, 1.0), "share", ("mask",))
    assert "brightness" in rewards.names()


def test_a_duplicate_is_refused_and_both_places_named():
    def define():
        @reward("twice", modality="image")
        def first(images, prompts):
            return images

    define()
    with pytest.raises(RewardError, match=r"'twice' of .*second is already .*first"):

        @reward("twice", modality="image")
        def second(images, prompts):
            return images

    define()  # the same place again, as when a module is reloaded


def test_a_built_in_cannot_be_taken():
    with pytest.raises(RewardError, match=r"rewards\.image\.compressibility:jpeg_compressibility"):

        @reward("jpeg_compressibility", modality="image")
        def mine(images, prompts):
            return images


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(RewardError) as caught:
        rewards.make("jpg_compressibility")
    assert str(caught.value).startswith(
        "unknown reward 'jpg_compressibility'; did you mean 'jpeg_compressibility'? Known: aesth"
    )
    with pytest.raises(RewardError, match=r"unknown reward 'zzz'\. Known: "):
        rewards.make("zzz")


@pytest.mark.parametrize(
    ("name", "modality", "columns", "complaint"),
    [
        ("Red-ness", "image", (), "lower-case"),
        ("redness", "sound", (), "'sound' is not one of image, text, any"),
        ("redness", "image", ("reference",), "column 'reference'"),
    ],
)
def test_a_malformed_definition_is_refused(name, modality, columns, complaint):
    with pytest.raises(RewardError, match=complaint):

        @reward(name, modality=modality, columns=columns)
        def redness(images, prompts):
            return images


def test_an_option_cannot_be_called_weight():
    with pytest.raises(RewardError, match="'weight' cannot be the name of an option"):

        @reward("redness", modality="image")
        def redness(images, prompts, *, weight=1.0):
            return images


def test_an_option_without_a_type_is_refused():
    with pytest.raises(RewardError, match=r"'shown' .*option 'flip' has no type.*: annotate it"):

        @reward("shown", modality="text", columns=("style",))
        def shown(texts, prompts, *, style, size: int = 1, flip=False):
            return [size] * len(texts)

    with pytest.raises(RewardError, match=r"'held' .*option 'path' has no type"):

        @reward("held", modality="text")
        class Held:
            def __init__(self, path, size: int = 1):
                self.path = path

            def __call__(self, texts, prompts):
                return [0.0] * len(texts)


def test_a_class_whose_instances_cannot_be_called_is_refused():
    with pytest.raises(RewardError, match=r"'mute' .*cannot be called: give the class a __call__"):

        @reward("mute", modality="text")
        class Mute:
            def score(self, texts, prompts):
                return [0.0] * len(texts)

    @reward("module", modality="image")
    class Module(torch.nn.Module):  # it inherits its call
        def forward(self, images, prompts):
            return images.mean(dim=(1, 2, 3))

    assert rewards.make("module")(torch.ones(1, 3, 2, 2), ["p"]).tolist() == [1.0]


def test_a_subclass_is_not_registered_by_its_parent():
    @reward("parent", modality="text")
    class Parent:
        def __call__(self, texts, prompts):
            return [0.0] * len(texts)

    class Child(Parent):
        pass

    assert registry.attached(Parent) is not None
    assert registry.attached(Child) is None


def test_an_installed_package_is_listed_without_import_and_made(install, images, prompts):
    install("plugin_red", REDNESS, {"redness": "plugin_red:redness"})
    assert "redness" in rewards.names()
    assert "plugin_red" not in sys.modules
    made = rewards.make("redness")
    assert made(images, prompts).tolist() == images[:, 0].mean(dim=(1, 2)).tolist()


def test_module_and_attribute_need_no_installation(install, images, prompts):
    install("local_red", REDNESS, {})
    assert "redness" not in rewards.names()
    assert rewards.make("local_red:redness").name == "redness"
    with pytest.raises(RewardError, match=r"'local_red:reward' .* decorate it"):
        rewards.make("local_red:reward")
    with pytest.raises(RewardError, match="No module named 'no_such_module'"):
        rewards.make("no_such_module:redness")


def test_a_package_may_export_what_its_module_defines(install):
    install("package_of_red", REDNESS, {})
    install("reexports", "from package_of_red import redness", {"redness": "reexports:redness"})
    with pytest.raises(RewardError, match="already defined by reexports:redness"):
        rewards.make("redness")  # the module of another package is another place
    assert registry._same_place("red:redness", "red.image:redness")
    assert registry._same_place("red.image:redness", "red:redness")
    assert not registry._same_place("red:redness", "reddish:redness")


def test_a_broken_plugin_costs_only_its_own_users(install, images, prompts):
    install("broken", "raise RuntimeError('no licence key')", {"bad": "broken:bad"})
    assert "bad" in rewards.names()
    with pytest.raises(RewardError, match=r"'bad' .*package broken 1\.0.*RuntimeError: no licence"):
        rewards.make("bad")
    assert rewards.make("jpeg_compressibility")(images, prompts).shape == (4,)


def test_a_plugin_that_shadows_a_built_in_costs_only_its_own_users(install):
    source = REDNESS.replace('"redness"', '"jpeg_compressibility"')
    install("shadow", source, {"jpeg_compressibility": "shadow:redness"})
    assert rewards.definition("jpeg_compressibility").place.startswith("rewards.image")
    with pytest.raises(RewardError, match=r"already defined by rewards\.image"):
        rewards.make("shadow:redness")


def test_two_packages_with_one_name_are_both_named(install):
    install("red_one", REDNESS, {"redness": "red_one:redness"})
    install("red_two", REDNESS, {"redness": "red_two:redness"})
    with pytest.raises(RewardError, match=r"twice: red_\w+:redness .* and red_\w+:redness"):
        rewards.make("redness")
    assert rewards.make("red_one:redness").name == "redness"


def test_an_entry_point_must_bear_the_name_of_its_reward(install):
    install("misnamed", REDNESS, {"crimson": "misnamed:redness"})
    with pytest.raises(RewardError, match="calls itself 'redness'"):
        rewards.make("crimson")
