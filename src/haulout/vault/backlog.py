"""What a vault does off its callers' path: jobs in order, on one thread, done before it closes.

A job is put here by a program that must not wait for it, such as a wrapped model client. The
thread starts with the first job and ends with the last, so that a vault that is not used has
none; it is no daemon, so that the interpreter does not end before it. A job that raises is told
of by `threading.excepthook`, and the next goes on.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

from haulout.errors import VaultClosedError

Job = Callable[[], object]

MOST_JOBS = 1000
"""Two seconds of writing, one at a time; who puts one more waits."""


class Backlog:
    """Jobs that wait, at most so many; the one under way counts."""

    def __init__(self, most: int = MOST_JOBS) -> None:
        self._jobs: deque[Job] = deque()
        self._most = most
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._pid = os.getpid()

    def put(self, job: Job) -> None:
        """Do a job later. Waits while there are too many: nothing is dropped.

        Raises:
            VaultClosedError: the vault was opened before this process was forked.
        """
        self._refuse_after_fork()
        with self._changed:
            if threading.current_thread() is not self._worker:
                self._changed.wait_for(lambda: len(self._jobs) < self._most)
            self._append(job)

    def offer(self, job: Job) -> bool:
        """As `put`, but where it would have to wait it does nothing and returns False."""
        self._refuse_after_fork()
        with self._changed:
            if len(self._jobs) >= self._most:
                return False
            self._append(job)
            return True

    def finish(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do, or for so many seconds; say whether nothing is."""
        if os.getpid() != self._pid or threading.current_thread() is self._worker:
            return False  # the other process does it; this job itself is left
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs, timeout)

    def _refuse_after_fork(self) -> None:
        if os.getpid() != self._pid:
            message = "This vault was opened before this process was forked."
            raise VaultClosedError(message, hint="Open the vault again in the new process.")

    def _append(self, job: Job) -> None:
        self._jobs.append(job)
        if self._worker is None:
            self._start()

    def _start(self) -> None:
        worker = threading.Thread(target=self._work, name="haulout-backlog", daemon=False)
        try:
            worker.start()
        except RuntimeError:  # none begins while the interpreter ends: then it is done here
            while self._jobs:
                self._jobs[0]()
                self._done()
        else:
            self._worker = worker

    def _work(self) -> None:
        while (job := self._first()) is not None:
            try:
                job()
            except BaseException:
                with self._changed:
                    self._done()
                    self._worker = None
                    if self._jobs:
                        self._start()
                raise
            with self._changed:
                self._done()

    def _first(self) -> Job | None:
        with self._changed:
            if self._jobs:
                return self._jobs[0]
            self._worker = None
            return None

    def _done(self) -> None:
        self._jobs.popleft()
        self._changed.notify_all()
