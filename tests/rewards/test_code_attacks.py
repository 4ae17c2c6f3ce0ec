"""Programs that try to get out of the sandbox or to be paid for nothing: see tests/support/attacks.

Run at each level, as root and as nobody. Where a level cannot be had, its tests are skipped.
"""

import json
import os
import subprocess
import sys

import pytest

from rewards.code.jail import check
from rewards.code.sandbox import Call, Run
from tests.support import attacks, battery
from tests.support.sandboxes import answers, sandbox_or_skip

LEVELS = ["full", "filtered"]


@pytest.fixture(params=LEVELS)
def box(request):
    with_level = sandbox_or_skip(request.param, workers=2, seconds=battery.SECONDS)
    yield with_level
    with_level.close()


def test_there_are_enough_attacks():
    kinds = (attacks.FORGERIES, attacks.ESCAPES, attacks.RAW, attacks.BURDENS)
    assert [len(kind) for kind in kinds] >= [30, 50, 30, 30]
    assert len({name for kind in kinds for name in kind}) == sum(map(len, kinds))


def test_no_attack_succeeds(box, tmp_path, monkeypatch):
    tests = tmp_path / "tests.json"
    tests.write_text(json.dumps({"expected": attacks.SECRET}))
    assert battery.battery(box, str(tests)) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("level", LEVELS)
def test_no_attack_succeeds_as_an_ordinary_user(level):
    command = [sys.executable, "-m", "tests.support.battery", level]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "Operation not permitted" in done.stderr:
        pytest.skip(f"root may not mount here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    if "refused" in found:
        pytest.skip(found["refused"])
    assert found == {"user": 65534, "reached": level, "wrong": {}}


def test_the_battery_finds_what_is_wrong(box, tmp_path, monkeypatch):
    """An attack that cannot fail shows that the others could have been found."""
    monkeypatch.setattr(attacks, "FORGERIES", {"knows": f"def f(x): return {attacks.SECRET}"})
    monkeypatch.setattr(attacks, "RAW", {})
    left = []

    def escapes(*places):
        left.append(subprocess.Popen(["sleep", "60"]))
        return {"takes": "def f(x): return 'all'"}

    monkeypatch.setattr(attacks, "escapes", escapes)
    monkeypatch.setattr(attacks, "BURDENS", {"earns": f"def f(x): return {attacks.SECRET}"})
    monkeypatch.setattr(battery, "PLACES", (str(tmp_path),))
    (tmp_path / f"{attacks.MARK}-file").touch()
    found = battery.battery(box, "")
    left[0].kill()
    left[0].wait()
    file, *processes = found.pop("traces")
    assert file == str(tmp_path / f"{attacks.MARK}-file")
    assert any("'sleep'" in process for process in processes)
    assert found == {
        "knows": ["earned a reward"],
        "takes": ["got all"],
        "earns": ["earned a reward"],
    }


def test_the_environment_of_the_trainer_is_not_passed_on(monkeypatch):
    monkeypatch.setenv("DDPO_SECRET", "a-token-of-the-trainer")
    box = sandbox_or_skip("full", workers=1)
    source = """
import ctypes, gc, os
def f():
    found = [dict(os.environ)] if os.environ else []
    return found + [o for o in gc.get_objects() if "a-" + "token" in repr(o)[:1000] and 0]
def g():
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    return libc.getenv(b"DDPO_SECRET") is None
"""
    try:
        assert answers(box, source, Call("f"), Call("g")) == [("value", ["l"]), ("value", True)]
    finally:
        box.close()


def test_a_program_sees_nothing_of_the_one_before(box):
    leave = """
import os, builtins, sys, json
builtins.left = json.left = sys.left = 1
def f():
    try: open("/tmp/left", "w").close()
    except OSError: pass
"""
    find = """
import os, builtins, sys, json
def f():
    found = [hasattr(module, "left") for module in (builtins, sys, json)]
    return [*found, os.path.exists("/tmp/left")]
"""
    for _ in range(4):
        answers(box, leave)
        assert answers(box, find) == [("value", ["l", False, False, False, False])]


def test_the_walls_are_tried_before_anything_is_run(box):
    """What the sandbox tries at its start would be found if it were possible."""
    (kind, detail), *_ = answers(box, check.ATTEMPTS, Call("attempts"))
    assert (kind, detail) == ("value", ["l", ""])
    namespace: dict = {}
    everything = check.ATTEMPTS.replace("os.execv(", "print and (").replace("os.fork()", "1")
    exec(everything.replace("/var/tmp/.ddpo-sandbox-check", os.devnull), namespace)
    assert len(namespace["attempts"]()) >= 6


def test_ordinary_programs_run(box):
    source = """
import collections, heapq, itertools, math, re, string, threading, dataclasses, decimal, hashlib
from typing import List

@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 0

def f(words: List[str]):
    total = []
    thread = threading.Thread(target=lambda: total.append(sum(map(len, words))))
    thread.start(); thread.join()
    return {"length": total[0], "most": collections.Counter("".join(words)).most_common(1)}

def g():
    import uuid, csv, io, html, difflib, sqlite3 as _unused
    return 1

def h():
    import html, difflib, graphlib, tempfile, shelve
    return html.escape("<"), min(Point(2), Point(1)).x, hashlib.sha256(b"").hexdigest()[:4]
"""
    found = answers(box, source, Call("f", (["ab", "a"],)), Call("h"))
    wanted = ["d", ["length", 3], ["most", ["l", ["t", "a", 2]]]]
    assert found == [("value", wanted), ("value", ["t", "&lt;", 1, "e3b0"])]


def test_a_file_of_its_own_can_be_written_at_the_full_level():
    box = sandbox_or_skip("full", workers=1)
    source = """
import os, shutil, tempfile
def f():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a")
        with open(path, "w") as file: file.write("x")
        os.rename(path, path + "b")
        with open(path + "b") as file: return folder.startswith("/tmp/"), file.read()
"""
    try:
        assert answers(box, source) == [("value", ["t", True, "x"])]
    finally:
        box.close()


def test_answers_before_the_end_count(box):
    source = "def f(x):\n    while x == 2: pass\n    return x\n"
    (run,) = box.run([(source, [Call("f", (n,)) for n in range(4)])])
    assert isinstance(run, Run)
    assert [answer.kind for answer in run.answers] == ["value", "value", "none", "none"]
