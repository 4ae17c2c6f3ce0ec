"""Numbers by key in a file on disk, with a limit to its size."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from rewards.errors import RewardError

LIMIT = 1 << 30
"""Bytes of a cache on disk, unless said."""
PATIENCE = 30.0
"""Seconds to wait for another process that writes."""


class Cache:
    """A file of numbers by key, shared by processes; the oldest used leave when it grows too large.

    Args:
        path: the file; its folder is made.
        limit: bytes that it may take on disk, at least 64 kB.

    Raises:
        RewardError: the file cannot be opened, or is not a cache.
    """

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        if limit < 1 << 16:
            raise RewardError(
                f"reward cache: a limit of {limit} bytes holds nothing; 65536 or more"
            )
        self.path = path
        self.limit = limit
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as database:
                database.execute("PRAGMA auto_vacuum = FULL")
                database.execute("PRAGMA journal_mode = WAL")
                database.execute(
                    "CREATE TABLE IF NOT EXISTS numbers"
                    " (key BLOB PRIMARY KEY, value REAL, used INTEGER) WITHOUT ROWID"
                )
                database.execute("CREATE INDEX IF NOT EXISTS by_use ON numbers (used)")
        except OSError as error:
            raise RewardError(f"reward cache {path} cannot be opened: {error}") from error

    def get(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        """The numbers that are known, which now count as used."""
        found: dict[bytes, float] = {}
        now = time.time_ns()
        with self._open() as database:
            for key in keys:
                row = database.execute("SELECT value FROM numbers WHERE key = ?", (key,)).fetchone()
                if row:
                    found[key] = row[0]
            touched = [(now, key) for key in found]
            database.executemany("UPDATE numbers SET used = ? WHERE key = ?", touched)
        return found

    def put(self, numbers: Mapping[bytes, float]) -> None:
        """Keep numbers; when the file is over its limit, a quarter of the oldest used leave."""
        now = time.time_ns()
        rows = [(key, value, now) for key, value in numbers.items()]
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO numbers VALUES (?, ?, ?)", rows)
        while self._bytes() > self.limit:
            self._shrink()

    def __len__(self) -> int:
        """How many numbers it holds."""
        with self._open() as database:
            return database.execute("SELECT count(*) FROM numbers").fetchone()[0]

    def _shrink(self) -> None:
        with self._open() as database:
            database.execute(
                "DELETE FROM numbers WHERE key IN (SELECT key FROM numbers ORDER BY used"
                " LIMIT 1 + (SELECT count(*) FROM numbers) / 4)"
            )

    def _bytes(self) -> int:
        with self._open() as database:
            pages = database.execute("PRAGMA page_count").fetchone()[0]
            return pages * database.execute("PRAGMA page_size").fetchone()[0]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction: connections cannot cross threads or forks."""
        try:
            with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise RewardError(
                f"reward cache {self.path} failed: {error}; remove the file, or name another one"
            ) from error
