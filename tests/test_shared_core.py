"""No file in the shared core asks whether it handles images or texts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ddpo

ASK_FOR_ALL = {"policies.py", "outputs.py", "sampling.py"}
"""Files that tell the two apart, so that others need not: see their first lines."""

KINDS = {"diffusion", "text", "image"}
CLASSES = {"DiffusionPolicyConfig", "TextPolicyConfig", "DiffusionPolicy", "TokenPolicy"}
CHAINS = ("ddpo.diffusion", "ddpo.text", "ddpo.config.diffusion_policy", "ddpo.config.text_policy")
SAMPLES = {"outputs", "seen", "samples"}

KNOWN = {
    "trajectory.py: isinstance of outputs",  # a tensor is moved, and may have a graph; a list not
    "memory.py: ddpo.diffusion.peak_memory",  # the estimate, which there is for denoising chains
}
"""What is found all the same, and why it stays."""

CORE = sorted(file for file in Path(ddpo.__path__[0]).glob("*.py") if file.name not in ASK_FOR_ALL)


def questions(source: str) -> set[str]:
    """Comparisons with the name of a kind, names of one kind's classes, imports of its modules, and
    looks at the type of samples.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare(left=left, comparators=others):
                constants = [n for part in (left, *others) for n in ast.walk(part)]
                values = {n.value for n in constants if isinstance(n, ast.Constant)}
                found |= {f"is it {value}" for value in values & KINDS}
            case ast.MatchValue(value=ast.Constant(value=str(value))) if value in KINDS:
                found.add(f"is it {value}")
            case ast.Name(id=name) if name in CLASSES:
                found.add(name)
            case ast.ImportFrom(module=str(module)) if module.startswith(CHAINS):
                found.add(module)
            case ast.Import(names=names):
                found |= {alias.name for alias in names if alias.name.startswith(CHAINS)}
            case ast.Call(func=ast.Name(id="isinstance"), args=[asked, _]):
                name = getattr(asked, "attr", getattr(asked, "id", ""))
                found |= {f"isinstance of {name}"} if name in SAMPLES else set()
    return found


def test_the_shared_core_asks_nothing() -> None:
    assert len(CORE) > 30
    found = {
        f"{file.name}: {question}" for file in CORE for question in questions(file.read_text())
    }
    assert found == KNOWN


@pytest.mark.parametrize("name", sorted(ASK_FOR_ALL))
def test_those_that_ask_for_all_do_ask(name: str) -> None:
    """Or they are no exceptions."""
    assert questions((Path(ddpo.__path__[0]) / name).read_text())


@pytest.mark.parametrize(
    ("source", "question"),
    [
        ("if config.policy.kind == 'text': ...", "is it text"),
        ("x = 1 if kind in ('diffusion', 'other') else 2", "is it diffusion"),
        ("match kind:\n    case 'image': ...", "is it image"),
        ("isinstance(policy, TokenPolicy)", "TokenPolicy"),
        ("isinstance(config.policy, DiffusionPolicyConfig)", "DiffusionPolicyConfig"),
        ("def f():\n    from ddpo.text.policy import x", "ddpo.text.policy"),
        ("import ddpo.diffusion.chain", "ddpo.diffusion.chain"),
        ("isinstance(trajectory.outputs, list)", "isinstance of outputs"),
        ("isinstance(samples, str)", "isinstance of samples"),
    ],
)
def test_a_question_is_seen(source: str, question: str) -> None:
    assert questions(source) == {question}


def test_what_is_no_question_is_not() -> None:
    assert not questions("x = {'kind': 'text'}\nisinstance(config, GrpoConfig)\nkind == 'sum'")
