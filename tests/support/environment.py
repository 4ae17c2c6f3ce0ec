"""A virtual environment of its own for a test that installs something: made in a second, thrown
away after.
"""

from __future__ import annotations

import os
import site
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OFFLINE = {"HF_HUB_OFFLINE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "CUDA_VISIBLE_DEVICES": ""}


@dataclass(frozen=True)
class Environment:
    """A folder with a `python` that sees this environment's packages, and installs into its own."""

    folder: Path

    def run(self, command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Type a line into a shell, whose `python` is this one; errors come with the output."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            shell=True,
            cwd=cwd,
            env={**inherited, **OFFLINE, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def install(self, command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Type `python -m pip install …`; without an index, it takes the build tools of here."""
        done = self.run(command, cwd)
        if done.returncode:
            done = self.run(command.replace(" install", " install --no-build-isolation"), cwd)
        return done


def fresh_environment(folder: Path) -> Environment:
    """Installing all dependencies once more would take gigabytes, so it borrows those of here."""
    venv.create(folder, with_pip=False)
    [own] = folder.glob("lib/python*/site-packages")
    borrowed = "\n".join(
        f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()
    )
    (own / "borrowed.pth").write_text(f"{ROOT}\n{borrowed}\n")
    return Environment(folder)
