"""`ddpo push`: a finished run's `final/` to a repository on the hub, only after a yes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from huggingface_hub.errors import HFValidationError, HTTPError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id

from ddpo.errors import RunError, UserError
from ddpo.export.finished_run import open_finished

UNITS = ("bytes", "kB", "MB", "GB", "TB")


@runtime_checkable
class Hub(Protocol):
    """What an upload needs of `huggingface_hub.HfApi`."""

    def whoami(self) -> dict[str, Any]:
        """Who is logged in."""
        ...

    def model_info(self, repo_id: str) -> Any:
        """A repository's state, such as `private`."""
        ...

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> Any:
        """Make a repository."""
        ...

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> Any:
        """Add a commit with a folder's files."""
        ...


def push_run(
    run: Path,
    repository: str,
    hub: Hub,
    *,
    private: bool,
    logged_in: bool,
    offline: bool,
    confirm: Callable[[str], bool],
) -> str:
    """Upload a finished run; returns the address of the repository.

    Args:
        run: the run folder.
        repository: `name` or `owner/name`.
        hub: the way there.
        private: make a new repository private.
        logged_in: whether there is a token.
        offline: whether the hub must not be asked.
        confirm: is shown what goes where, and says whether to go on. Nothing is made or uploaded
            before that.

    Raises:
        UserError: the run has not finished, the name is not one, nobody is logged in, the hub must
            not be asked, an existing repository is public and `private` was asked for, or the
            answer was no.
        RunError: the hub cannot be reached, or refused.
    """
    folder, config = open_finished(run)
    _check(repository, logged_in, offline)
    try:
        name = _full_name(repository, hub)
        existing = _visibility(name, hub)
        if private and existing == "public":
            raise UserError(
                f"--private: {name} exists and is public; make it private on its settings page "
                f"first, or name another repository"
            )
        visibility = existing or ("private" if private else "public")
        if not confirm(_plan(folder.final, name, visibility, existing is not None)):
            raise UserError("nothing was uploaded")
        if existing is None:
            hub.create_repo(name, private=private, exist_ok=False)
        hub.upload_folder(
            repo_id=name, folder_path=folder.final, commit_message=f"Upload of {config.name}"
        )
    except (HTTPError, OSError) as error:  # the hub's own errors are among them
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"the hub cannot be reached, or refused: {reason}") from error
    return f"https://huggingface.co/{name}"


def _check(repository: str, logged_in: bool, offline: bool) -> None:
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UserError(f"REPOSITORY: {' '.join(str(error).split())}") from error
    if offline:
        raise UserError("HF_HUB_OFFLINE is set, so nothing can be uploaded; unset it")
    if not logged_in:
        raise UserError("nobody is logged in to the hub; log in with `hf auth login`")


def _full_name(repository: str, hub: Hub) -> str:
    user = hub.whoami()["name"]  # also shows that the token is good
    return repository if "/" in repository else f"{user}/{repository}"


def _visibility(name: str, hub: Hub) -> str | None:
    try:
        return "private" if hub.model_info(name).private else "public"
    except RepositoryNotFoundError:
        return None


def _plan(final: Path, name: str, visibility: str, exists: bool) -> str:
    files = sorted(path for path in final.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in files]
    lines = [
        f"  {path.relative_to(final)}  {_size(size)}"
        for path, size in zip(files, sizes, strict=True)
    ]
    where = "a new commit in the" if exists else "a new"
    lines.append(
        f"{len(files)} files, {_size(sum(sizes))}, from {final} to {where} {visibility} repository "
        f"https://huggingface.co/{name}"
    )
    return "\n".join(lines)


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.{0 if unit == 0 else 1}f} {UNITS[unit]}"
