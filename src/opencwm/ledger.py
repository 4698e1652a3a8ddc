"""Who works on what, and what is done: a SQLite file beside the work, which survives any kill.

    add(items) -> take() --lease--> work --> finish(item, losses)

An item is taken under a lease, which its holder renews while it lives (`kept_alive`). A lease is free again when it
runs out, and at once when its holder is a process of this machine that is no more. So several processes may share the
work, any of them may be killed at any moment, and no item is lost. `finish` writes what was done and what was lost in
doing it in one transaction.

Only coordinators open the file, never their workers: it need not be on a file system that all machines of a cluster see
with working locks, and SQLite's write-ahead log must not be (sqlite.org/wal.html).
"""

import os
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from opencwm.errors import DataError

LEASE_S = 60.0
"""A guess: long enough for a machine that is starved of time, short enough to wait for."""
BUSY_S = 60.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    item INTEGER PRIMARY KEY, is_done INTEGER NOT NULL DEFAULT 0, holder TEXT, expires REAL
);
CREATE TABLE IF NOT EXISTS losses (
    item INTEGER NOT NULL, key TEXT NOT NULL, cause TEXT NOT NULL, PRIMARY KEY (item, key)
);
"""


class Ledger:
    def __init__(self, path: str | Path, *, lease_s: float = LEASE_S) -> None:
        self.path = Path(path)
        self.lease_s = lease_s
        self.holder = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"
        with self._open() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction; each is its own, so threads need not share."""
        try:
            db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
            try:
                yield db
            finally:
                db.close()
        except sqlite3.Error as exc:
            problem = f"{self.path} cannot be used as a ledger: {exc}"
            raise DataError(problem, fix="is the disk full, or the file damaged?") from exc

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def add(self, items: Iterable[int]) -> None:
        """Items that are to be done; those that are known already stay as they are."""
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO items (item) VALUES (?)", [(item,) for item in items])

    def take(self, among: range) -> int | None:
        """Lease the first item that is free; None where there is none now."""
        with self._transaction() as db:
            asked = (among.start, among.stop)
            query = "SELECT item, holder, expires FROM items WHERE item >= ? AND item < ? AND NOT is_done ORDER BY item"
            for item, holder, expires in db.execute(query, asked).fetchall():
                if holder is None or expires < time.time() or self._is_gone(holder):
                    lease = (self.holder, time.time() + self.lease_s, item)
                    db.execute("UPDATE items SET holder = ?, expires = ? WHERE item = ?", lease)
                    return int(item)
        return None

    def _is_gone(self, holder: str) -> bool:
        """Whether the holder was a process of this machine that has ended. (Where another has its number now, the lease
        runs out; in a container that number may be ours.)"""
        (host, pid, _), (own_host, own_pid, _) = holder.rsplit(" ", 2), self.holder.rsplit(" ", 2)
        if host != own_host:
            return False
        if pid == own_pid:
            return holder != self.holder
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def finish(self, item: int, losses: Mapping[str, str]) -> None:
        """The item is done; `losses` are the keys of what was dropped for an accidental cause, with the cause."""
        with self._transaction() as db:
            db.execute("UPDATE items SET is_done = 1, holder = NULL, expires = NULL WHERE item = ?", (item,))
            rows = [(item, key, cause) for key, cause in sorted(losses.items())]
            db.executemany("INSERT OR REPLACE INTO losses VALUES (?, ?, ?)", rows)

    def reopen(self, item: int) -> None:
        """What was done is gone and must be done again; what was lost in doing it stays known."""
        with self._transaction() as db:
            db.execute("UPDATE items SET is_done = 0, holder = NULL, expires = NULL WHERE item = ?", (item,))

    def done(self) -> set[int]:
        with self._open() as db:
            return {int(item) for (item,) in db.execute("SELECT item FROM items WHERE is_done")}

    def losses(self, item: int) -> dict[str, str]:
        """Key -> cause."""
        with self._open() as db:
            return dict(db.execute("SELECT key, cause FROM losses WHERE item = ? ORDER BY key", (item,)).fetchall())

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Renew this process's leases while the block runs, and give them back when it ends."""
        stop = threading.Event()

        def renew() -> None:
            while not stop.wait(self.lease_s / 4):
                with self._transaction() as db:
                    lease = (time.time() + self.lease_s, self.holder)
                    db.execute("UPDATE items SET expires = ? WHERE holder = ? AND NOT is_done", lease)

        thread = threading.Thread(target=renew, name="leases", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            with self._transaction() as db:
                db.execute("UPDATE items SET holder = NULL, expires = NULL WHERE holder = ?", (self.holder,))
