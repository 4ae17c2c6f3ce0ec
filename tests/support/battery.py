"""All attacks on one sandbox, and what became of them: run by tests, as root and as nobody.

    python -m tests.support.battery LEVEL

As root it becomes nobody first. It prints what went wrong, as JSON: nothing at all, one hopes.
"""

import glob
import json
import os
import platform
import sys
import time
from pathlib import Path

import psutil

from rewards.code.comparison import matches
from rewards.code.jail import system
from rewards.code.sandbox import Answer, Call, Run, Sandbox, Unrun
from rewards.code.worker import Level, SandboxError
from tests.support import attacks

SECONDS = 0.4
CALLS = [Call("f", (7,))]
PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/", str(Path.home()))


def sandbox(level: Level, workers: int = 2) -> Sandbox:
    """A sandbox at exactly this level, with short times."""
    return Sandbox(level, workers=workers, seconds=SECONDS, memory=256, most=level)


def payments(run: Run | Unrun) -> list[str]:
    """What is wrong with an outcome that should have earned nothing."""
    if isinstance(run, Unrun):
        return [f"the sandbox broke: {run.reason}"]
    (answer,) = run.answers
    earned = answer.kind == "value" and matches(attacks.SECRET, answer.detail)
    return ["earned a reward"] if earned else []


def findings(answer: Answer) -> list[str]:
    """What an escape brought back."""
    empty = (None, False, 0, "", ["l"], ["d"])
    if answer.kind == "value" and answer.detail not in empty:
        return [f"got {str(answer.detail)[:200]}"]
    return [f"got {answer.detail}"] if answer.kind == "other" else []


def traces() -> list[str]:
    """Files that an attack has left behind."""
    return [path for place in PLACES for path in glob.glob(f"{place}/{attacks.MARK}*")]


def processes(box: Sandbox) -> list[str]:
    """Those below this one when every launcher waits for a program. One that broke, as under an
    attack or on a busy machine, has been started anew, with other numbers and as many of them.
    """
    job = {"source": "", "calls": [], "seconds": SECONDS, "memory": box.memory}
    for worker in box._workers:
        try:
            worker.run(job)
        except SandboxError:
            worker.run(job)
    return [str(process) for process in psutil.Process().children(recursive=True)]


def attempts(tests: str) -> dict[str, str]:
    """What can be done at once: it takes no time."""
    found = {**attacks.FORGERIES, **attacks.escapes(tests, str(Path.home()))}
    # Numbers of system calls differ between architectures.
    return {**found, **attacks.RAW} if platform.machine() == "x86_64" else found


def battery(box: Sandbox, tests: str) -> dict[str, list[str]]:
    """Every attack, and what was wrong with its outcome."""
    before = len(processes(box))
    wrong: dict[str, list[str]] = {}
    sources = attempts(tests)
    for name, run in zip(sources, box.run([(s, CALLS) for s in sources.values()]), strict=True):
        wrong[name] = payments(run)
        if isinstance(run, Run) and name not in attacks.FORGERIES:
            wrong[name] += findings(run.answers[0])
    for name, source in attacks.BURDENS.items():
        start = time.monotonic()
        (run,) = box.run([(source, CALLS)])
        took = time.monotonic() - start
        wrong[name] = payments(run)
        if took > SECONDS + 1:
            wrong[name].append(f"took {took:.2f} s of {SECONDS} s")
    after = processes(box)  # what the launchers started has ended with the programs
    wrong["traces"] = traces() + (after if len(after) > before else [])
    return {name: what for name, what in wrong.items() if what}


def open_to_all(folders: list[str]) -> None:
    """Let everyone reach these folders, at their own paths, in a mount namespace of its own:
    an interpreter may lie below a home that only its owner can enter.

    Raises:
        OSError: mounts are not allowed, even to root.
    """
    system.unshare(system.CLONE_NEWNS)
    recursive, private, bind = 1 << 14, 1 << 18, 1 << 12
    system.mount("none", "/", None, recursive | private)
    closed = {
        next((str(p) for p in [*Path(f).parents][::-1] if not p.stat().st_mode & 1), "")
        for f in folders
    }
    opened = {folder: os.open(folder, os.O_PATH) for folder in folders}
    for parent in closed - {""}:
        system.mount("tmpfs", parent, "tmpfs", 0, "mode=755")
    for folder, descriptor in opened.items():
        os.makedirs(folder, exist_ok=True)
        system.mount(f"/proc/self/fd/{descriptor}", folder, None, bind)


def main(level: str) -> None:
    """Become nobody, and attack."""
    repository = Path(__file__).resolve().parents[2]
    if os.geteuid() == 0:
        open_to_all(sorted({sys.base_prefix, sys.prefix, str(repository)}))
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        box = sandbox(level)
    except SandboxError as error:
        print(json.dumps({"refused": str(error)}))
        return
    try:
        wrong = battery(box, str(repository / "tests/support/attacks.py"))
        print(json.dumps({"user": os.getuid(), "reached": box.reached.level, "wrong": wrong}))
    finally:
        box.close()


if __name__ == "__main__":
    main(sys.argv[1])
