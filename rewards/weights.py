"""Finding and reading files of weights: checked by checksum, read without running what is in them.

A file is named by its path, by a URL, or as `hf-hub:owner/name/file`; installed packages give names
to others, by entry points.
"""

import hashlib
import os
from importlib.metadata import entry_points
from pathlib import Path
from pickle import UnpicklingError
from tempfile import NamedTemporaryFile
from textwrap import shorten
from typing import Any
from urllib.parse import urlsplit

import requests
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from safetensors.torch import load_file
from torch import Tensor

from rewards.definition import Weights
from rewards.errors import RewardError, one_line

TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 20
REASON_WIDTH = 100
URL_WIDTH = 80

# From the special to the general: the first that fits is told.
_REASONS: dict[type[Exception], str] = {
    LocalEntryNotFoundError: "not on this machine, and the hub cannot be reached",
    RepositoryNotFoundError: "the hub has no such repository, or keeps it private",
    EntryNotFoundError: "the repository on the hub has no such file",
    requests.Timeout: "the server does not answer in time",
    requests.ConnectionError: "the server cannot be reached",
}


def find_weights(
    source: str, *, sha256: str = "", published: Weights | None = None, reward: str
) -> Path:
    """A local file for `source`, downloaded once if it is elsewhere, with the checksum verified.

    A URL is kept in `cache_folder()` under its checksum, which it must therefore have; a file on
    the hub is kept where huggingface_hub keeps its files.

    Args:
        source: a path, `https://…`, or `hf-hub:owner/name/file`.
        sha256: checksum of the file, in hexadecimal digits; only a URL needs one.
        published: weights whose checksum counts where `source` is theirs and `sha256` is empty.
        reward: name of the reward, for the messages.

    Raises:
        RewardError: the file cannot be had, or is another one than the checksum says.
    """
    where = f"reward '{reward}': the weights '{_shown(source)}'"
    pinned = published.sha256 if published and source == published.source else ""
    expected = (sha256 or pinned).lower()
    if source.startswith(("https://", "http://")):
        if not expected:
            raise RewardError(f"{where} are from a URL: give sha256, the checksum of the file")
        return _from_url(source, expected, where)
    path = _from_hub(source, where) if source.startswith("hf-hub:") else Path(source).expanduser()
    if not path.is_file():
        raise RewardError(
            f"{where} are not a file; give a path, https://…, or hf-hub:owner/name/file"
        )
    if expected:
        _verify(path, expected, where)
    return path


def load_state(path: Path, *, reward: str) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file, or of a torch file, by name, on the CPU.

    A training checkpoint `{"state_dict": …}` is unwrapped. A torch file is a pickle, which can hold
    code: it is read as tensors only, and code is refused, not run.

    Raises:
        RewardError: the file is damaged, holds code, or is not a dictionary of tensors.
    """
    where = f"reward '{reward}': the weights '{path}'"
    state = _read(path, where)
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise RewardError(f"{where} are not a dictionary of tensors; save a model's state_dict()")
    return state


def find_installed(group: str, name: str, kind: str) -> str:
    """The path that an installed package gives for `name`; empty if no package has that name.

    Args:
        group: of the entry points, each a function without arguments that returns a path.
        name: of the entry point.
        kind: what it is, for the message.

    Raises:
        RewardError: the package's function failed.
    """
    for point in entry_points(group=group, name=name):
        try:
            return str(point.load()())
        # The entry point is foreign code.
        except Exception as error:
            message = f"the installed {kind} '{name}' ({point.value}): {one_line(error)}"
            raise RewardError(message) from error
    return ""


def installed_names(group: str) -> list[str]:
    """The names in a group of entry points, sorted."""
    return sorted(point.name for point in entry_points(group=group))


def why_not_had(error: BaseException) -> str:
    """Why something could not be downloaded, in a few words, whoever wrapped the first error."""
    first: BaseException | None = error
    while first:
        for kind, reason in _REASONS.items():
            if isinstance(first, kind):
                return reason
        first = first.__cause__ or first.__context__
    return shorten(one_line(error), REASON_WIDTH, placeholder=" …")


def cache_folder() -> Path:
    """Where downloads are kept: `ddpo/weights` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ddpo" / "weights"


def _shown(source: str) -> str:
    """A source as messages name it: of a long URL the host and the file."""
    if len(source) <= URL_WIDTH:
        return source
    url = urlsplit(source)
    return f"{url.scheme}://{url.netloc}/…/{Path(url.path).name}" if url.netloc else source


def _read(path: Path, where: str) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file makes its parser stumble over anything: struct.error, OSError, EOFError, …
    except Exception as error:
        # torch has one type for code and for damage; only code is called a "global".
        if isinstance(error, UnpicklingError) and "global" in str(error).lower():
            raise RewardError(
                f"{where} hold code beside tensors; it was refused, not run. "
                "Save the tensors alone, best as .safetensors"
            ) from error
        raise RewardError(
            f"{where} cannot be read as tensors ({one_line(error)}); fetch or save the file again"
        ) from error


def _from_hub(source: str, where: str) -> Path:
    parts = source.removeprefix("hf-hub:").split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise RewardError(f"{where} do not name a file: write hf-hub:owner/name/file")
    owner, name, file = parts
    try:
        return Path(hf_hub_download(f"{owner}/{name}", file))
    # The hub's client raises many kinds of error, without a common one.
    except Exception as error:
        raise RewardError(
            f"{where} cannot be had ({why_not_had(error)}); give a local file"
        ) from error


def _from_url(url: str, expected: str, where: str) -> Path:
    kept = cache_folder() / f"{expected}{Path(urlsplit(url).path).suffix}"
    if kept.is_file() and _checksum(kept) == expected:
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=kept.parent, suffix=".part", delete=False) as part:
            partial = Path(part.name)
        try:
            _download(url, partial)
            _verify(partial, expected, where)
            partial.replace(kept)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:  # of the network too: those of requests are OSErrors
        message = (
            f"{where} cannot be downloaded ({why_not_had(error)}); give the path of a local copy"
        )
        raise RewardError(message) from error
    return kept


def _download(url: str, path: Path) -> None:
    with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS) as response, path.open("wb") as f:
        response.raise_for_status()
        for chunk in response.iter_content(CHUNK_BYTES):
            f.write(chunk)


def _verify(path: Path, expected: str, where: str) -> None:
    found = _checksum(path)
    if found != expected:
        raise RewardError(
            f"{where} have the checksum {found}, not {expected}; get the right file, "
            "or correct sha256"
        )


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
