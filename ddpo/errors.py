"""What can go wrong, drawn as a tree.

DdpoError                 one line: what happened, where, what to do
├── UserError             bad input, found before anything is written      (exit code 2)
│   ├── ConfigError       one or several errors in a configuration
│   └── WriteError        a file that could not be written, such as on a full disk
├── RunError              a run that had to stop; its last state is saved  (exit code 1)
└── Interrupted           a signal stopped the run; its state is saved     (exit code 128 + signal)
"""

from __future__ import annotations


class DdpoError(Exception):
    """Base of all errors that are reported to the user as plain lines, without a traceback."""

    exit_code = 1


class UserError(DdpoError):
    """Input that cannot be used: the message names the key or file, the value, and the remedy."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration with one or more errors; `problems` holds one line for each."""

    def __init__(self, source: str, problems: list[str]):
        """Join `problems` beneath the name of the file they were found in."""
        self.problems = problems
        self._source = source
        noun = "error" if len(problems) == 1 else "errors"
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{source}: {len(problems)} {noun} in the configuration{lines}")

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, list[str]]]:
        """Errors travel between processes."""
        return ConfigError, (self._source, self.problems)


class WriteError(UserError):
    """A file or folder could not be written; what was there before has not changed."""


class RunError(DdpoError):
    """A run that cannot go on, for a reason outside its configuration."""


class Interrupted(DdpoError):
    """A run stopped by a signal, after its state was saved."""

    def __init__(self, message: str, signal_number: int):
        """Keep the signal: the exit code is 128 plus its number, as shells expect."""
        super().__init__(message)
        self.exit_code = 128 + signal_number
