"""What `new` writes is a package that installs, is found, and passes the check and its tests."""

import subprocess
import sys
import tomllib

import pytest

from rewards import RewardError
from rewards.scaffold import new
from rewards.testing import check_reward
from tests.support.environment import ROOT, fresh_environment

FILES = {"README.md", "glow.py", "pyproject.toml", "tests", "tests/test_glow.py"}


@pytest.mark.parametrize("modality", ["image", "text"])
def test_the_folder_holds_four_files_that_name_the_reward(modality, tmp_path):
    made = new("glow", tmp_path, modality)
    assert made == tmp_path / "glow"
    assert {str(path.relative_to(made)) for path in made.rglob("*")} == FILES
    project = tomllib.loads((made / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["ddpo.rewards"] == {"glow": "glow:glow"}
    assert f'modality="{modality}"' in (made / "glow.py").read_text()
    assert "  glow: {weight: 1.0, " in (made / "README.md").read_text()
    assert "$ python -m rewards check glow\n" in (made / "README.md").read_text()


@pytest.mark.parametrize("settings", [[], ["--config", str(ROOT / "pyproject.toml")]])
@pytest.mark.parametrize(("name", "modality"), [("glow", "image"), ("politeness", "text")])
def test_the_folder_is_clean_for_ruff_with_its_settings_and_with_ours(
    name, modality, settings, tmp_path
):
    made = new(name, tmp_path, modality)
    for command in [["check"], ["format", "--check"]]:
        line = [sys.executable, "-m", "ruff", *command, *settings, "."]
        done = subprocess.run(line, cwd=made, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Glow", "'Glow' cannot name a reward: lower-case"),
        ("my-glow", "cannot name a reward"),
        ("../glow", "cannot name a reward"),
        ("class", "no word of Python's own"),
        ("bleu", r"'bleu' is taken by rewards\.text\.bleu:bleu \(built in\)"),
        ("json", r"'json' is that of a module, .*json.*, which could then not be imported"),
    ],
)
def test_a_bad_name_is_refused_and_nothing_is_written(name, complaint, tmp_path):
    with pytest.raises(RewardError, match=complaint):
        new(name, tmp_path / "inside")
    assert not list(tmp_path.iterdir())


def test_a_name_of_an_installed_package_is_refused_with_its_package(install, tmp_path):
    install("plugin_shine", "", {"shine": "plugin_shine:shine"})
    with pytest.raises(RewardError, match=r"taken by plugin_shine:shine \(package plugin_shine 1"):
        new("shine", tmp_path)


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "glow").mkdir()
    (tmp_path / "glow" / "glow.py").write_text("mine")
    with pytest.raises(
        RewardError, match="glow is there already: choose another name, or remove it"
    ):
        new("glow", tmp_path)
    assert [path.name for path in (tmp_path / "glow").iterdir()] == ["glow.py"]
    assert (tmp_path / "glow" / "glow.py").read_text() == "mine"


def test_a_second_time_says_what_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    new("glow")
    with pytest.raises(RewardError, match=r"^glow is there already"):
        new("glow")
    with pytest.raises(RewardError, match=f"that of a module, {tmp_path / 'glow'}, which"):
        new("glow", tmp_path / "elsewhere")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RewardError, match="glow cannot be written: Not a directory; choose"):
        new("glow", tmp_path / "file")


def test_without_installing_it_is_found_by_module_and_name(tmp_path, monkeypatch):
    made = new("glow", tmp_path)
    monkeypatch.syspath_prepend(str(made))
    check_reward("glow:glow")
    del sys.modules["glow"]


RAISES = """
from rewards import reward

raise RuntimeError("no licence on this machine")
"""
SHADOWS = '''
from rewards import reward


@reward("bleu", modality="text")
def bleu(texts, prompts):
    """Not BLEU."""
    return [1.0 for _ in texts]
'''
GARBAGE = '''
from rewards import reward


@reward("garbage", modality="text")
def garbage(texts, prompts):
    """Words, where numbers are due."""
    return ["good" for _ in texts]
'''


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return fresh_environment(tmp_path_factory.mktemp("plugins") / "environment")


def succeed(environment, command, folder):
    done = environment.run(command, folder)
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize(("name", "modality"), [("glow", "image"), ("politeness", "text")])
def test_the_package_installs_is_found_and_passes(environment, name, modality, tmp_path):
    made = new(name, tmp_path, modality)
    done = environment.install(f"python -m pip install --no-deps ./{name}", tmp_path)
    assert done.returncode == 0, done.stdout
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lines = succeed(environment, "python -m rewards list", elsewhere).splitlines()
    assert [name, f"{name}:{name}", "(package", name, "0.1.0)"] in [
        line.split()[:5] for line in lines
    ]
    checked = succeed(environment, f"python -m rewards check {name}", elsewhere)
    assert checked.splitlines()[-1] == f"{name} keeps the contract"
    assert "2 passed" in succeed(environment, "python -m pytest -q", made)


def test_plugins_that_do_not_work_are_reported_and_harm_nobody(environment, tmp_path):
    for name, source in {"raises": RAISES, "shadows": SHADOWS, "garbage": GARBAGE}.items():
        made = new(name, tmp_path, "text")
        (made / f"{name}.py").write_text(source)
        if name == "shadows":
            project = made / "pyproject.toml"
            project.write_text(
                project.read_text().replace('shadows = "shadows:shadows"', 'bleu = "shadows:bleu"')
            )
    quickly = "python -m pip install --no-deps --no-build-isolation"
    succeed(environment, f"{quickly} ./raises ./shadows ./garbage", tmp_path)
    complaints = {
        "raises": (
            2,
            "error: reward 'raises' from raises:raises (package raises 0.1.0) cannot be "
            "loaded: RuntimeError: no licence on this machine",
        ),
        "shadows:bleu": (2, "is already defined by rewards.text.bleu:bleu (built in)"),
        "garbage": (1, "FAILED   dtype         1 sample got a list, not real numbers"),
    }
    for name, (status, complaint) in complaints.items():
        done = environment.run(f"python -m rewards check {name}", tmp_path)
        assert (done.returncode, complaint in done.stdout) == (status, True), done.stdout
        assert "Traceback" not in done.stdout
    assert "bleu keeps the contract" in succeed(
        environment, "python -m rewards check bleu", tmp_path
    )
