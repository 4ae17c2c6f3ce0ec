"""Whether the walls hold: a program tries what it must not be able to do, before any other runs."""

import json

from . import runner

# Each attempt must raise. The names are what a user reads when one does not.
ATTEMPTS = """
import os, socket, threading

def attempts():
    tried = {
        "read a file of the system": lambda: open("/etc/passwd").close(),
        "see processes": lambda: os.listdir("/proc/self"),
        "write outside of its folder": lambda: open("/var/tmp/.ddpo-sandbox-check", "w").close(),
        "open a socket": lambda: socket.socket().close(),
        "start a process": lambda: os.fork() or os._exit(0),
        "send a signal": lambda: os.kill(os.getppid(), 0),
        "start a program": lambda: os.execv("/bin/true", ["true"]),
    }
    done = []
    for name, attempt in tried.items():
        try:
            attempt()
        except OSError:
            continue
        done.append(name)
    thread = threading.Thread(target=done.append, args=("",))
    thread.start()
    thread.join()
    return done
"""


def holes(walls: runner.Walls) -> str:
    """What is wrong with the walls, in words; empty when they hold and programs run."""
    job = {"source": ATTEMPTS, "calls": [["attempts", ["l"], ["d"]]], "seconds": 10, "memory": 256}
    end, output = runner.run(walls, job)
    lines = output.decode(errors="replace").splitlines()
    try:
        ready, loaded, (kind, (_, *done)) = map(json.loads, lines)
    except (ValueError, TypeError):
        return f"the program that tries the walls could not be run ({end}): {lines}"
    if [ready, loaded, kind] != [["ready"], ["loaded"], "value"]:
        return f"the program that tries the walls could not be run ({end}): {lines}"
    open_walls = [name for name in done if name]
    return f"a program could {' and '.join(open_walls)}" if open_walls else ""
