"""Programs that try to get out of the sandbox, to hurt the machine, or to be paid for nothing.

Each defines `f(x)`, and is asked for `f(7)`, which should be the secret: nobody who has not seen
the test can know it. Three kinds:

- FORGERIES try to pass the test without the answer, or to find it.
- ESCAPES return something true where they got what they wanted, and raise or return nothing if not.
- BURDENS use up what there is.

They are run by tests, as root too, and a test must be able to fail: where a wall does not hold, an
attack shows that it could do harm, and does none. It signals with 0, renames a file that was made
for it, sets the clock to what it is, starts few processes that soon end.
"""

import errno

SECRET = 48151623
MARK = "ddpo-attack"
"""In the name of every file that an attack tries to leave behind."""

_CLAIM = 'import os, json\ndef claim(*words): os.write(3, json.dumps(words).encode() + b"\\n")\n'

FORGERIES = {
    "equality": """
class Same:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
def f(x): return Same()
""",
    "equality of an int": """
class Same(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def f(x): return Same(1)
""",
    "equality of a list": """
class Same(list):
    def __eq__(self, other): return True
    def __len__(self): return 1
def f(x): return Same([1])
""",
    "an object that lies about its class": """
class Liar:
    __class__ = property(lambda self: int)
    def __eq__(self, other): return True
    def __index__(self): return 1
def f(x): return Liar()
""",
    "a patched builtins.type": """
import builtins
builtins.type = lambda *a: int
class Same:
    def __eq__(self, other): return True
def f(x): return Same()
""",
    "patched json": """
import json
json.dumps = lambda *a, **k: '["value", true]'
json.loads = lambda *a, **k: ["value", True]
def f(x): return 1
""",
    "a patched jail": """
import sys
for name, module in list(sys.modules.items()):
    if name.startswith("jail"):
        for attribute in ("encode", "decode", "matches", "holes"):
            setattr(module, attribute, lambda *a: True)
def f(x): return True
""",
    "patched os.write": """
import os
real = os.write
os.write = lambda fd, data: real(fd, b'["passed"]\\n["value", "passed"]\\n')
def f(x): return 1
""",
    "lines of its own": _CLAIM
    + """
claim("loaded"); claim("passed"); claim("value", True)
def f(x): return 1
""",
    "guesses, one a line": _CLAIM
    + f"""
claim("loaded")
for guess in (1, 2, 3, {SECRET}, {SECRET}): claim("value", guess)
os._exit(0)
""",
    "guesses from another thread": _CLAIM
    + """
import threading
def guess():
    for number in range(2000): claim("value", number)
threading.Thread(target=guess, daemon=True).start()
def f(x): return 1
""",
    "a closed descriptor": "import os\nos.close(3)\ndef f(x): return 1\n",
    "a second start": _CLAIM
    + """
claim("ready"); claim("loaded"); claim("value", [])
def f(x): return 1
""",
    "broken lines": """
import os
os.write(3, b'["loaded"]\\n["value", ' + b"[" * 100_000 + b"\\n{}\\n\\xff\\xfe\\nnull\\n")
os._exit(0)
""",
    "printed results": """
import sys
print('["value", true]'); print("1 passed"); sys.stdout.flush()
print("OK", file=sys.stderr)
def f(x): print('["value", true]'); return 1
""",
    "sys.exit": "import sys\nsys.exit(0)\n",
    "sys.exit in the call": "import sys\ndef f(x): sys.exit(0)\n",
    "os._exit": "import os\nos._exit(0)\n",
    "os._exit in the call": "import os\ndef f(x): os._exit(0)\n",
    "an exception that lies": """
class Passed(BaseException):
    def __eq__(self, other): return True
    def __str__(self): return "passed"
def f(x): raise Passed
""",
    "a metaclass with a false name": """
class Meta(type):
    __name__ = property(lambda cls: ["value", True])
class Passed(BaseException, metaclass=Meta): pass
def f(x): raise Passed
""",
    "frames": """
import sys
def f(x):
    frame, found = sys._getframe(), []
    while frame:
        found += [v for d in (frame.f_locals, frame.f_globals) for v in d.values()]
        frame = frame.f_back
    return next((v for v in found if type(v) is int and 10**7 < v < 10**9), None)
""",
    "garbage": """
import gc
def f(x):
    wanted = [o for o in gc.get_objects() if isinstance(o, dict) and "expected" in o]
    return wanted[0]["expected"] if wanted else None
""",
    "its arguments": "import sys\ndef f(x): return sys.argv + sys.orig_argv\n",
    "its input": "def f(x): return input()\n",
    "a generator": "def f(x): yield from (1, 2)\n",
    "no builtins": "import builtins\nfor n in list(vars(builtins)): delattr(builtins, n)\n",
    "exit hooks": "import atexit, os\natexit.register(os.write, 3, b'x')\ndef f(x): return 1\n",
    "a trace function": """
import sys
def trace(frame, event, argument):
    if "value" in frame.f_locals: frame.f_locals["value"] = True
    return trace
sys.settrace(trace)
def f(x): return 1
""",
    "an endless value": "def f(x):\n    a = []\n    a.append(a)\n    return a\n",
    "a huge dictionary of colliding keys": """
def f(x): return {i * (2**61 - 1): 0 for i in range(20000)}
""",
}

_RAW = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(4096)
def f(x):
    words = [ctypes.c_long(n) if isinstance(n, int) else n for n in {call}]
    return libc.syscall(*words) != -1 or ctypes.get_errno() != {error}
"""


def raw(*call: object, error: int = errno.EPERM) -> str:
    """A program that makes a system call, past all of Python; anything but the error with which the
    filter refuses it counts as done.
    """
    return _RAW.format(call="(" + ", ".join(map(str, call)) + ",)", error=error)


ESCAPES = {
    "read the tests": "def f(x): return open({tests!r}).read()\n",
    "read the tests by a link": """
import os
def f(x):
    os.symlink({tests!r}, "MARK-link")
    return open("MARK-link").read()
""",
    "read /etc/shadow": "def f(x): return open('/etc/shadow').read()\n",
    "read /etc/passwd": "def f(x): return open('/etc/passwd').read()\n",
    "climb out": "def f(x): return open('../' * 20 + 'etc/passwd').read()\n",
    # a library below home shows the folders on the way to it
    "list home": """
import os
def f(x): return [n for n in os.listdir({home!r}) if n not in os.__file__.split("/")]
""",
    "see the environment": "import os\ndef f(x): return dict(os.environ)\n",
    "see the environment in C": """
import ctypes
def f(x): return [s for s in [ctypes.c_char_p.in_dll(ctypes.CDLL(None), "environ").value] if s]
""",
    "/proc/self/environ": "def f(x): return open('/proc/self/environ', 'rb').read() and 1\n",
    "/proc/1/cmdline": "def f(x): return open('/proc/1/cmdline', 'rb').read() and 1\n",
    "/proc/self/mem": "def f(x): return open('/proc/self/mem', 'r+b') and 1\n",
    "/proc/self/root": "import os\ndef f(x): return os.listdir('/proc/self/root')\n",
    "/sys": "import os\ndef f(x): return os.listdir('/sys')\n",
    "a device": "import os\ndef f(x): return os.listdir('/dev/shm') or open('/dev/mem')\n",
    "other packages": """
import itertools, os, sysconfig
def f(x):
    for folder in {sysconfig.get_path(n) for n in ("purelib", "platlib")}:
        for place, _, names in itertools.islice(os.walk(folder), 20):
            for name in names:
                try: return open(os.path.join(place, name), "rb").read(9) and place
                except OSError: pass
""",
    "write into the library": "import os\ndef f(x): return open(os.__file__, 'a') and 1\n",
    "write outside": """
import os
def f(x):
    done = []
    for folder in ("/", "/var/tmp", "/dev", "/dev/shm", {home!r}, os.path.dirname({tests!r})):
        try: open(folder + "/MARK-file", "w").close(); done.append(folder)
        except OSError: pass
    return done
""".replace("MARK", MARK),
    "a hard link out": "import os\ndef f(x): os.link({tests!r}, 'MARK'); return 1\n",
    "rename a file": "import os\ndef f(x): os.rename({tests!r}, {tests!r}); return 1\n",
    "change who may read": "import os\ndef f(x): os.chmod({tests!r}, 0o644); return 1\n",
    "make a pipe": "import os\ndef f(x): os.mknod('MARK', 0o10600); return 1\n",
    "inherited descriptors": """
import os
def f(x):
    found = []
    for n in range(4, 4096):
        try: os.fstat(n); found.append(n)
        except OSError: pass
    return found
""",
    "TCP": "import socket\ndef f(x): socket.create_connection(('1.1.1.1', 80), 1); return 1\n",
    "TCP to itself": "import socket\ndef f(x): socket.create_server(('127.0.0.1', 0)); return 1\n",
    "UDP": "import socket\ndef f(x): return socket.socket(type=socket.SOCK_DGRAM) and 1\n",
    "a Unix socket": "import socket\ndef f(x): return socket.socket(socket.AF_UNIX) and 1\n",
    "a pair of sockets": "import socket\ndef f(x): return socket.socketpair() and 1\n",
    "netlink": "import socket\ndef f(x): return socket.socket(socket.AF_NETLINK) and 1\n",
    "DNS": "import socket\ndef f(x): return socket.getaddrinfo('example.com', 80)\n",
    "fork": "import os\ndef f(x): return os.fork() or os._exit(0)\n",
    "an orphan that outlives the limit": """
import os, time
def f(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: time.sleep(30)
        os._exit(0)
    return 1
""",
    "subprocess": "import subprocess\ndef f(x): return subprocess.run(['/bin/true']) and 1\n",
    "os.system": "import os\ndef f(x): return os.system('true') == 0\n",
    "exec": "import os\ndef f(x): os.execv('/bin/true', ['true'])\n",
    "exec of Python": "import os, sys\ndef f(x): os.execv(sys.executable, ['python', '-c', ''])\n",
    "posix_spawn": "import os\ndef f(x): return os.posix_spawn('/bin/true', ['true'], {{}})\n",
    "multiprocessing": """
import multiprocessing
def f(x):
    process = multiprocessing.get_context("fork").Process(target=print)
    process.start(); process.join(); return process.exitcode == 0
""",
    "kill the parent": "import os\ndef f(x): os.kill(os.getppid(), 0); return 1\n",
    "kill everyone": "import os\ndef f(x): os.kill(-1, 0); return 1\n",
    "kill the group": "import os\ndef f(x): os.killpg(0, 0); return 1\n",
    "signal itself": "import os\ndef f(x): os.kill(os.getpid(), 0); return 1\n",
    "a signal by a file's owner": """
import fcntl, os
def f(x):
    fcntl.fcntl(3, 8, os.getppid()); fcntl.fcntl(3, 10, 28); return 1
""",
    "another user": "import os\ndef f(x): os.setuid(0); return 1\n",
    "another group": "import os\ndef f(x): os.setgroups([0]); return 1\n",
    "another root": "import os\ndef f(x): os.chroot('/'); return 1\n",
    "higher limits": """
import resource
def f(x):
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1)); return 1
""",
    "another's limits": """
import os, resource
def f(x): return resource.prlimit(os.getppid() or 1, resource.RLIMIT_CPU)
""",
    "another priority": "import os\ndef f(x): os.nice(-5); return 1\n",
    "all cores": "import os\ndef f(x): os.sched_setaffinity(0, range(99)); return 1\n",
    "another host name": """
import socket
def f(x): socket.sethostname(socket.gethostname()); return 1
""",
    "another clock": "import time\ndef f(x): time.clock_settime(0, time.time()); return 1\n",
    "a memory file": "import os\ndef f(x): return os.memfd_create('x')\n",
}

# Of x86_64, by their numbers: calls for which Python has no function.
RAW = {
    "ptrace": raw(101, 0x4206, 1, 0, 0),
    "trace me": raw(101, 0, 0, 0, 0),
    "mount by the old call": raw(165, "b'none'", "b'/'", 0, 0x40000, 0),
    "process_vm_readv": raw(310, 1, "buffer", 1, "buffer", 1, 0),
    "tgkill": raw(234, 1, 1, 0),
    "tkill": raw(200, 1, 0),
    "pidfd_open": raw(434, 1, 0),
    "mount": raw(430, "b'tmpfs'", 0),
    "open_tree": raw(428, -100, "b'/'", 1),
    "unshare a user namespace": raw(272, 0x10000000),
    "setns": raw(308, 3, 0),
    "clone a user namespace": raw(56, 0x10000011, 0, 0, 0, 0),
    "clone3": raw(435, "buffer", 88, error=errno.ENOSYS),
    "prctl": raw(157, 3, 0, 0, 0, 0),
    "another filter": raw(317, 1, 0, "buffer"),
    "capset": raw(126, "buffer", "buffer"),
    "keys": raw(250, 0, -3, 1),
    "bpf": raw(321, 0, "buffer", 128),
    "io_uring": raw(425, 8, "buffer"),
    "perf": raw(298, "buffer", 0, -1, -1, 0),
    "userfaultfd": raw(323, 0),
    "shared memory": raw(29, 0, 4096, 0o1600),
    "a message queue": raw(68, 0, 0o1600),
    "a POSIX queue": raw(240, "b'ddpo-attack'", 0o102, 0o600, 0),
    "a file handle": raw(304, -100, "buffer", 0),
    "a module": raw(313, 3, "b''", 0),
    "x32 calls": raw(0x40000000 + 39),
    "the size of a terminal": raw(16, 3, 0x541B, "buffer", error=errno.ENOTTY),
    "personality": raw(135, 0x0040000),
    "fanotify": raw(300, 0, 0),
}

BURDENS = {
    "a loop": "while True: pass\n",
    "a loop in the call": "def f(x):\n    while True: pass\n",
    "a loop that catches everything": """
def f(x):
    while True:
        try:
            while True: pass
        except BaseException: pass
""",
    "sleep": "import time\ntime.sleep(600)\n",
    "deaf to signals": """
import signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
time.sleep(600)
""",
    "a thread that stays": """
import threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
def f(x): return 1
""",
    "an object that never lets go": """
class Slow:
    def __del__(self):
        while True: pass
def f(x): Slow(); return 1
""",
    "a fork bomb": """
import os, time
def f(x):
    for _ in range(500):
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
""",
    "threads": """
import threading, time
def f(x):
    for _ in range(100_000): threading.Thread(target=time.sleep, args=(600,)).start()
""",
    "memory": "def f(x):\n    a = []\n    while True: a.append(bytearray(10**7))\n",
    "memory at once": "def f(x): return len(bytearray(10**12))\n",
    "memory in a map": "import mmap\ndef f(x): return len(mmap.mmap(-1, 2**40))\n",
    "disk": """
def f(x):
    for n in range(10_000):
        with open(f"/tmp/MARK-{n}", "wb") as file:
            for _ in range(64): file.write(bytes(2**20))
""".replace("MARK", MARK),
    "a huge file": "def f(x): open('MARK', 'wb').truncate(2**40)\n".replace("MARK", MARK),
    "files": """
def f(x):
    for n in range(10**7): open(f"/tmp/MARK-{n}", "w").close()
""".replace("MARK", MARK),
    "folders": """
import os
def f(x):
    for n in range(10**7): os.mkdir("MARK"); os.chdir("MARK")
""".replace("MARK", MARK),
    "descriptors": "def f(x):\n    a = []\n    while True: a.append(open('/dev/null'))\n",
    "pipes": "import os\ndef f(x):\n    a = []\n    while True: a.append(os.pipe())\n",
    "a flood on stdout": "def f(x):\n    while True: print('x' * 10**6)\n",
    "a flood of answers": "import os\nwhile True: os.write(3, b'[]\\n' * 10**5)\n",
    "a flood without an end of line": "import os\nwhile True: os.write(3, b'x' * 10**5)\n",
    "a large answer": "def f(x): return 'x' * 10**7\n",
    "recursion": "def f(x): return f(x)\n",
    "recursion without a limit": """
import sys
sys.setrecursionlimit(10**9)
def f(x): return f(x)
""",
    "recursion in C": """
import sys
sys.setrecursionlimit(10**9)
a = []
for _ in range(10**6): a = [a]
def f(x): return repr(a)
""",
    "a null pointer": "import ctypes\ndef f(x): return ctypes.string_at(0)\n",
    "a huge number": "def f(x): return 10**10**9\n",
    "a number too long to print": "def f(x): return str(10**5000)\n",
    "a regular expression": "import re\ndef f(x): return re.match('(a|aa)+$', 'a' * 60 + 'b')\n",
    "a source that takes long": "def f(x): return "
    + "(" * 90
    + "1"
    + "+1" * 30000
    + ")" * 90
    + "\n",
    "abort": "import os\ndef f(x): os.abort()\n",
}


def escapes(tests: str, home: str) -> dict[str, str]:
    """ESCAPES, told where the tests lie and where home is."""
    return {
        name: source.replace("{tests!r}", repr(tests))
        .replace("{home!r}", repr(home))
        .replace("{{}}", "{}")
        .replace("MARK", MARK)
        for name, source in ESCAPES.items()
    }
