"""Text files: read as UTF-8, whatever the locale, and lists of one prompt a line."""

from __future__ import annotations

from pathlib import Path

from ddpo.errors import UserError


def read_text(path: Path, key: str) -> str:
    """The content of a file without its byte order mark, line ends as they are.

    Args:
        path: of the file.
        key: of the configuration, for messages, such as `prompts.file`.

    Raises:
        UserError: the file cannot be read, or is not UTF-8 text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{key}: {path} cannot be read: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # `error.object` is what was decoded, without the mark that `error.start` does not count.
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(
            f"{key}: {path} cannot be read: it is not UTF-8 text (line {line}); save it as UTF-8"
        ) from error


def read_list(path: Path, key: str) -> list[str]:
    """One prompt a line; blank lines and lines that start with # are left out.

    Raises:
        UserError: as `read_text` does; or the file holds no prompt.
    """
    prompts = listed(read_text(path, key))
    if not prompts:
        raise UserError(f"{key}: {path} holds no prompt; write one a line")
    return prompts


def listed(text: str) -> list[str]:
    """The prompts in a text of one a line."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]
