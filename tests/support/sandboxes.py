"""Sandboxes for tests, where the machine allows them; the reason to skip where it does not."""

import pytest

from rewards.code.sandbox import Call, Run, Sandbox
from rewards.code.worker import Level, SandboxError


def sandbox_or_skip(level: Level = "full", **options: object) -> Sandbox:
    """A sandbox at exactly this level."""
    try:
        return Sandbox(level, most=level, **options)
    except SandboxError as error:
        pytest.skip(f"this machine has no sandbox at the level '{level}': {error}")


def answers(box: Sandbox, source: str, *calls: Call) -> list[tuple[str, object]]:
    """What a program claims: kind and detail of each answer."""
    (run,) = box.run([(source, calls or (Call("f"),))])
    assert isinstance(run, Run), run
    return [(answer.kind, answer.detail) for answer in run.answers]
