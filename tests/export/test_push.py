"""An upload: announced, asked for, and refused in one line, against a hub that is not there."""

from __future__ import annotations

import inspect
import io
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from ddpo.__main__ import main
from ddpo.config.writing import dump_config
from ddpo.errors import RunError, UserError
from ddpo.export.uploading import push_run
from tests.support.policies import configured


class FakeHub:
    """A hub in memory that takes only calls which the true client would take."""

    def __init__(self, visibilities: dict[str, bool] | None = None):
        """Begin with repositories by name, and whether each is private."""
        self.repositories = dict(visibilities or {})
        self.uploaded: dict[str, list[str]] = {}
        self.refuses = False

    def whoami(self) -> dict[str, Any]:
        self._check("whoami")
        if self.refuses:
            raise self._error(HfHubHTTPError, 401)
        return {"name": "me"}

    def model_info(self, repo_id: str) -> Any:
        self._check("model_info", repo_id)
        if repo_id not in self.repositories:
            raise self._error(RepositoryNotFoundError, 404)
        return type("Info", (), {"private": self.repositories[repo_id]})

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self._check("create_repo", repo_id, **options)
        self.repositories[repo_id] = options["private"]

    def upload_folder(self, **options: Any) -> None:
        self._check("upload_folder", **options)
        assert options["repo_id"] in self.repositories
        files = options["folder_path"].rglob("*")
        self.uploaded[options["repo_id"]] = sorted(p.name for p in files if p.is_file())

    def _check(self, name: str, *positional: Any, **named: Any) -> None:
        inspect.signature(getattr(HfApi, name)).bind(self, *positional, **named)

    def _error(self, kind: type[HfHubHTTPError], code: int) -> HfHubHTTPError:
        request = httpx2.Request("GET", "https://example.org")
        return kind(f"status {code}", response=httpx2.Response(code, request=request))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of which only the names matter."""
    final = tmp_path / "run" / "final"
    (final / "card").mkdir(parents=True)
    (final / "README.md").write_bytes(b"x" * 10)
    (final / "card" / "after-0.png").write_bytes(b"x" * 1500)
    (tmp_path / "run" / "config.yaml").write_text(dump_config(configured(Path("shapes"))))
    return tmp_path / "run"


def push(run: Path, hub: FakeHub, repository: str = "me/model", **changes: Any) -> str:
    """Push with somebody logged in who says yes to everything."""
    usual = {"private": False, "logged_in": True, "offline": False, "confirm": lambda plan: True}
    return push_run(run, repository, hub, **usual | changes)


def test_it_says_what_goes_where_and_then_uploads(run: Path) -> None:
    hub, plans = FakeHub(), []

    def confirm(plan: str) -> bool:
        assert not hub.repositories
        assert not hub.uploaded
        plans.append(plan)
        return True

    assert push(run, hub, "model", confirm=confirm) == "https://huggingface.co/me/model"
    assert plans[0].splitlines() == [
        "  README.md  10 bytes",
        "  card/after-0.png  1.5 kB",
        f"2 files, 1.5 kB, from {run / 'final'} to a new public repository "
        f"https://huggingface.co/me/model",
    ]
    assert hub.uploaded == {"me/model": ["README.md", "after-0.png"]}
    assert hub.repositories == {"me/model": False}


def test_after_a_no_nothing_has_happened(run: Path) -> None:
    hub = FakeHub()
    with pytest.raises(UserError, match="nothing was uploaded"):
        push(run, hub, confirm=lambda plan: False)
    assert (hub.repositories, hub.uploaded) == ({}, {})


def test_a_new_repository_is_private_when_asked_and_an_old_one_is_never_changed(run: Path) -> None:
    hub = FakeHub({"me/open": False, "me/closed": True})
    push(run, hub, "me/model", private=True)
    assert hub.repositories["me/model"] is True
    plans: list[str] = []
    push(run, hub, "me/closed", confirm=lambda plan: not plans.append(plan))
    assert "to a new commit in the private repository" in plans[0]
    with pytest.raises(UserError, match="me/open exists and is public"):
        push(run, hub, "me/open", private=True)
    assert set(hub.uploaded) == {"me/model", "me/closed"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logged_in": False}, "nobody is logged in to the hub; log in with `hf auth login`"),
        ({"offline": True}, "HF_HUB_OFFLINE is set"),
        ({"repository": "a/b/c"}, "REPOSITORY: "),
        ({"repository": "a--b"}, "REPOSITORY: "),
    ],
    ids=["nobody", "offline", "three names", "two dashes"],
)
def test_what_cannot_be_is_refused_before_anybody_is_asked(
    run: Path, changes: dict[str, Any], message: str
) -> None:
    def confirm(plan: str) -> bool:
        raise AssertionError(plan)

    with pytest.raises(UserError, match=message) as refused:
        push(run, FakeHub(), **changes, confirm=confirm)
    assert "\n" not in str(refused.value)


def test_an_error_of_the_hub_is_one_line(run: Path) -> None:
    hub = FakeHub()
    hub.refuses = True
    with pytest.raises(RunError, match="cannot be reached, or refused: status 401") as refused:
        push(run, hub)
    assert "\n" not in str(refused.value)


def test_an_unfinished_run_is_refused(run: Path) -> None:
    (run / "final").rename(run / "elsewhere")
    with pytest.raises(UserError, match="has no final/ yet"):
        push(run, FakeHub())


class Terminal(io.StringIO):
    """Standard input with somebody at it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "flags", "code", "said"),
    [
        (Terminal("y\n"), [], 0, ""),
        (Terminal("\n"), [], 2, "nothing was uploaded"),
        (Terminal(""), [], 2, "nothing was uploaded"),
        (io.StringIO("y\n"), [], 2, "no terminal to ask on"),
        (io.StringIO(""), ["--yes"], 0, ""),
    ],
    ids=["yes", "enter", "end of input", "no terminal", "--yes"],
)
def test_the_command_asks(
    run: Path,
    typed: io.StringIO,
    flags: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub = FakeHub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "a token")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("sys.stdin", typed)
    assert main(["push", str(run), "me/model", *flags]) == code
    printed = capsys.readouterr()
    assert "  README.md  10 bytes\n" in printed.out
    assert said in printed.err
    assert bool(hub.uploaded) == (code == 0)
