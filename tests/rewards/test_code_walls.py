"""Each wall of the sandbox for itself: what one lets through, another one stops."""

import time

import psutil
import pytest

from rewards.code import worker
from rewards.code.jail import limits
from rewards.code.sandbox import Call, Sandbox
from tests.support.sandboxes import answers, sandbox_or_skip

NO_FILTER = "runner.seccomp.install = lambda *a: None"
NO_LANDLOCK = "runner.landlock.restrict = lambda *a: None"
NO_CHECK = "check.holes = lambda *a: ''"


@pytest.fixture
def without(monkeypatch):
    """A sandbox at the full level without some of its walls."""
    made = []

    def make(*changes, **options):
        sandbox_or_skip(workers=1).close()
        start = worker._START.replace("import main;", "import main, runner, check;")
        changed = "; ".join([*changes, "main(*"])
        monkeypatch.setattr(worker, "_START", start.replace("main(*", changed))
        made.append(Sandbox("full", workers=1, **options))
        return made[-1]

    yield make
    for box in made:
        box.close()


OUTSIDE = """
import ctypes, os, resource, signal, socket, time
libc = ctypes.CDLL(None, use_errno=True)

def files():
    return sorted(os.listdir("/")), os.path.exists("/etc"), os.path.exists("/proc")

def written():
    done = []
    for folder in ("/", "/dev", os.path.dirname(os.__file__)):
        try: open(folder + "/ddpo-attack", "w").close(); done.append(folder)
        except OSError: pass
    return done

def read_only():
    folders = ["/", os.path.dirname(os.__file__)]
    return [bool(os.statvfs(folder).f_flag & os.ST_RDONLY) for folder in folders]

def interfaces():
    return [name for _, name in socket.if_nameindex()]

def connects():
    try: return socket.create_connection(("127.0.0.1", PORT), 1) and True
    except OSError: return False

def processes():
    return os.getpid(), os.getppid()

def users():
    return os.getuid(), os.getgid(), os.getgroups()

def privileges():
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    return list(sets), [n for n in range(41) if libc.prctl(23, n, 0, 0, 0)]

def mounts():
    return libc.mount(b"none", b"/", None, 1 << 18, None)  # as private as it is

def signals():
    try: os.kill(-1, 0)
    except OSError: return False
    return True

def orphans():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(30)
        os._exit(0)
    return "started"

def forks():
    started = 0
    try:
        for started in range(500):
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
    except OSError:
        pass
    return started

def name():
    socket.sethostname("x")

def core():
    return libc.prctl(3, 0, 0, 0, 0), libc.prctl(39, 0, 0, 0, 0)  # dumpable, no_new_privs
"""


def test_namespaces_hold_without_the_filter_and_without_landlock(without):
    import socket

    server = socket.create_server(("127.0.0.1", 0))
    box = without(NO_FILTER, NO_LANDLOCK, NO_CHECK)
    source = OUTSIDE.replace("PORT", str(server.getsockname()[1]))
    names = [
        "files",
        "read_only",
        "written",
        "interfaces",
        "connects",
        "processes",
        "users",
        "mounts",
        "core",
    ]
    found = dict(zip(names, answers(box, source, *map(Call, names)), strict=True))
    (_, (_, (_, *top), etc, proc)) = found.pop("files")
    assert {"dev", "tmp"} < set(top)
    assert not {"etc", "proc", "sys", "var", "home"} & set(top)
    assert (etc, proc) == (False, False)
    assert found == {
        "read_only": ("value", ["l", True, True]),
        "written": ("value", ["l"]),
        "interfaces": ("value", ["l", "lo"]),
        "connects": ("value", False),
        "processes": ("value", ["t", 1, 0]),
        "users": ("value", ["t", 1, 1, ["l"]]),
        "mounts": ("value", -1),
        "core": ("value", ["t", 0, 1]),
    }
    server.close()


def test_nothing_outlives_its_program_without_the_filter(without):
    box = without(NO_FILTER, NO_CHECK)
    answers(box, "def f(): return 1")
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    assert answers(box, OUTSIDE, Call("signals"), Call("orphans")) == [
        ("value", False),
        ("value", "started"),
    ]
    ((kind, started),) = answers(box, OUTSIDE, Call("forks"))
    assert kind == "value"
    assert 0 < started < limits.PROCESSES
    assert answers(box, OUTSIDE, Call("name")) == [("raised", "PermissionError")]
    assert {p.pid for p in psutil.Process().children(recursive=True)} == before


def test_a_program_has_no_privilege(without):
    box = without(NO_FILTER, NO_CHECK)
    assert answers(box, OUTSIDE, Call("privileges")) == [("value", ["t", ["l"] + [0] * 6, ["l"]])]


def test_the_limits_of_a_program():
    box = sandbox_or_skip(workers=1, seconds=3.0, memory=200)
    source = """
import os, resource
def f():
    names = ["AS", "CORE", "CPU", "FSIZE", "MEMLOCK", "NOFILE", "NPROC"]
    found = {n: resource.getrlimit(getattr(resource, "RLIMIT_" + n)) for n in names}
    assert all(soft == hard for soft, hard in found.values())
    folder = os.statvfs("/tmp")
    return {n: soft for n, (soft, _) in found.items()}, folder.f_blocks * folder.f_bsize, \
        folder.f_files, os.stat("/tmp").st_mode & 0o7777
"""
    wanted = {
        "AS": 200 * 2**20,
        "CORE": 0,
        "CPU": 4,
        "FSIZE": 8 * 2**20,
        "MEMLOCK": 0,
        "NOFILE": 64,
        "NPROC": 64,
    }
    assert answers(box, source) == [
        ("value", ["t", ["d", *map(list, wanted.items())], 16 * 2**20, 1000, 0o1777])
    ]
    box.close()


def test_a_flood_is_ended_before_its_time():
    box = sandbox_or_skip(workers=1, seconds=4.0)
    start = time.monotonic()
    assert answers(box, "import os\nwhile True: os.write(3, b'x' * 10**5)\n") == [("none", None)]
    assert time.monotonic() - start < 3
    box.close()
