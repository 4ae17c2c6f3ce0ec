"""The sandbox itself: levels that are refused, launchers that break, and what they leave."""

import os
import pickle
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

import rewards
from rewards import RewardError
from rewards.code import sandbox, worker
from rewards.code.jail import landlock, seccomp
from rewards.code.sandbox import Call, Run, Sandbox, Unrun
from rewards.code.worker import SandboxError, Worker
from tests.support.sandboxes import answers, sandbox_or_skip

ONE = ("def f(): return 1", [Call("f")])


@pytest.fixture
def box():
    made = sandbox_or_skip(workers=2)
    yield made
    made.close()


def children():
    """Launchers and what they started; other tests may have processes of their own here."""
    return [child for child in psutil.Process().children(recursive=True) if _is_launcher(child)]


def _is_launcher(process):
    try:
        return any("jail.launcher" in word for word in process.cmdline())
    except psutil.Error:  # it has ended
        return False


def test_below_the_level_nothing_is_run(tmp_path):
    sandbox_or_skip("filtered", workers=1).close()
    with pytest.raises(SandboxError) as caught:
        Sandbox("full", most="filtered")
    assert re.fullmatch(
        r"no program is run: the sandbox reached the level filtered \(Landlock version \d+, "
        r"a filter of system calls, limits; no namespaces: not tried\), and 'full' is required; "
        r"docs/code-rewards.md says what each level needs",
        str(caught.value),
    )
    assert children() == []


def test_without_landlock_nothing_is_run(monkeypatch):
    """Where a wall is missing altogether, no level is left that could be asked for."""
    refuse = "landlock.version = lambda: next(1 for _ in open('/no/landlock'))"
    start = worker._START.replace("main(*", f"{refuse}; main(*").replace(
        "import main;", "import main, landlock;"
    )
    monkeypatch.setattr(worker, "_START", start)
    for level in ("full", "filtered"):
        with pytest.raises(SandboxError, match=r"the level none \(.*/no/landlock"):
            Sandbox(level)


@pytest.mark.parametrize(
    ("wall", "found"),
    [
        ("runner.seccomp.install", "open a socket and start a process"),
        ("runner.landlock.restrict", "read a file of the system"),
    ],
)
def test_a_wall_that_does_not_hold_is_noticed_before_anything_is_run(monkeypatch, wall, found):
    start = worker._START.replace("main(*", f"{wall} = lambda *a: None; main(*").replace(
        "import main;", "import main, runner;"
    )
    monkeypatch.setattr(worker, "_START", start)
    with pytest.raises(SandboxError, match=r"reached the level none .*a program could .*" + found):
        Sandbox("filtered", most="filtered")


def test_on_another_system_nothing_is_run(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(RewardError, match="programs can be run on Linux only"):
        rewards.make("code_tests")


def test_a_launcher_that_does_not_start_is_named(monkeypatch):
    monkeypatch.setattr(worker, "_START", "raise SystemExit(3)")
    with pytest.raises(SandboxError, match="could not be started: its launcher ended"):
        Worker("full").start()
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(SandboxError, match=r"could not be started: .*No such file"):
        Worker("full").start()


def test_a_launcher_that_dies_is_replaced(box):
    box.run([ONE] * 4)
    for process in children():
        process.kill()
    runs = box.run([ONE] * 4)
    assert all(isinstance(run, Run) and run.answers[0].detail == 1 for run in runs)


def test_a_sandbox_that_stays_broken_gives_no_number(box, monkeypatch):
    made = rewards.make("code_tests", workers=1)
    for process in children():
        process.kill()
    monkeypatch.setattr(worker, "_START", "raise SystemExit(3)")
    scored = made.score(["def f(): return 1"], ["p"], {"tests": [["assert f() == 1"]]})
    assert scored.values.tolist() == pytest.approx([float("nan")], nan_ok=True)
    assert "the sandbox could not be started" in scored.failures[0].reason
    made.function._sandbox.close()


def test_walls_that_cannot_be_put_up_give_no_number(box):
    assert sandbox.read(b"'landlock: no'", 1) == Unrun(
        "the sandbox broke: a program could not be started: 'landlock: no'"
    )
    assert isinstance(sandbox.read(b"", 1), Unrun)
    assert isinstance(sandbox.read(b'["ready"]', 1), Unrun)  # not a whole line


def test_what_is_no_answer_ends_the_answers():
    begun = b'["ready"]\n["loaded"]\n'
    none, one = sandbox.Answer("none"), sandbox.Answer("value", 1)
    for junk in (b"x", b"", b"{}", b"[]", b'["value"]', b'["done", 1]', b"[" * 100_000, b"\xff"):
        lines = begun + b'["value", 1]\n' + junk + b'\n["value", 1]\n'
        assert sandbox.read(lines, 3) == Run(True, (one, none, none))
    assert sandbox.read(begun + b'["value", 1]\n' * 9, 2) == Run(True, (one, one))
    assert sandbox.read(begun + b'["value", 1]', 1) == Run(True, (none,))  # not a whole line


def test_launchers_end_with_the_sandbox():
    before = children()
    box = sandbox_or_skip(workers=2)
    box.run([ONE] * 6)
    assert len(children()) > len(before)
    box.close()
    assert children() == before
    box = sandbox_or_skip(workers=1)
    del box  # forgotten, not closed
    assert children() == before


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_launchers_and_programs_end_with_the_trainer(end):
    sandbox_or_skip(workers=1).close()
    source = """
from rewards.code.sandbox import *
box = Sandbox(workers=1, seconds=300)
print("ready", flush=True)
box.run([("while True: pass", [])])
"""
    trainer = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    assert trainer.stdout.readline() == b"ready\n"
    below = psutil.Process(trainer.pid).children(recursive=True)
    while len(below) < 4:  # three of the launcher, one of the program
        time.sleep(0.01)
        below = psutil.Process(trainer.pid).children(recursive=True)
    trainer.send_signal(end)
    trainer.wait()
    trainer.stdout.close()
    _, alive = psutil.wait_procs(below, timeout=5)
    assert alive == []


def test_a_fork_of_the_trainer_does_not_end_its_launchers(box):
    box.run([ONE])
    pid = os.fork()
    if pid == 0:
        box.close()
        os._exit(0)
    os.waitpid(pid, 0)
    pid = os.fork()
    if pid == 0:  # nor does it use them, but one of its own
        ends = [5]
        try:
            ends[0] = 0 if answers(box, *ONE[:1], Call("f")) == [("value", 1)] else 6
            box.close()
        finally:
            os._exit(ends[0])
    assert os.waitpid(pid, 0)[1] == 0
    assert answers(box, *ONE[:1], Call("f")) == [("value", 1)]


def test_a_reward_in_another_process_has_a_sandbox_of_its_own():
    sandbox_or_skip(workers=1).close()
    made = rewards.make("code_tests", workers=1, returns="graded")
    again = pickle.loads(pickle.dumps(made))
    assert again.function._sandbox is not made.function._sandbox
    assert again.definition.range == (-1, 1)
    given = (["def f(): return 1"], ["p"])
    assert again(*given, tests=[["assert f() == 1"]]) == made(*given, tests=[["assert f() == 1"]])
    for reward in (made, again):
        reward.function._sandbox.close()


def test_limits_are_the_users(box):
    source = "def f(): return len(bytearray(150 * 2**20))"
    assert answers(box, source) == [("value", 150 * 2**20)]
    small = sandbox_or_skip(workers=1, memory=100)
    assert answers(small, source) == [("raised", "MemoryError")]
    small.close()
    quick = sandbox_or_skip(workers=1, seconds=0.2)
    start = time.monotonic()
    assert answers(quick, "import time\ndef f(): time.sleep(60)") == [("none", None)]
    assert 0.2 <= time.monotonic() - start < 1.2
    quick.close()


def test_the_same_program_gives_the_same_answer(box):
    source = "import random\ndef f(): return [random.random(), hash('a'), list({'a', 'b', 'c'})]"
    first = answers(box, source)
    other = sandbox_or_skip(workers=1)
    assert first == answers(box, source) == answers(other, source)
    other.close()


def test_the_filter_is_one_for_this_architecture():
    packed = seccomp.program()
    assert len(packed) % 8 == 0
    assert len(packed) // 8 < 4096  # the most that the kernel takes
    assert packed[-8:] == b"\x06\x00\x00\x00\x01\x00\x05\x00"  # return: fail with EPERM


def test_rights_are_those_that_the_kernel_knows():
    assert landlock.READ_WRITE & landlock.EXECUTE == 0
    assert landlock.READ & landlock.WRITE_FILE == 0
