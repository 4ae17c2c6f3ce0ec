"""Files of prompts, written and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ddpo.config.schema import PromptsConfig
from ddpo.errors import UserError
from ddpo.prompts import PromptSet, load_prompts


def loaded(folder: Path, name: str, content: str | bytes, **section: Any) -> PromptSet:
    """The prompts of a file of this content."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_prompts(PromptsConfig(file=path, **section))


def refusal(folder: Path, name: str, content: str | bytes, **section: Any) -> str:
    """Why it is refused, in one line, its folder left out."""
    with pytest.raises(UserError) as caught:
        loaded(folder, name, content, **section)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message.replace(f"{folder}/", "")
