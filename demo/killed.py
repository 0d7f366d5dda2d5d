"""Remembers as fast as it can and says so each time, from four threads. It will be killed."""

import os
from itertools import count
from threading import Thread

from haulout import Vault

vault = Vault.open()


def log(thread: int) -> None:
    for n in count():
        kept = vault.remember(f"Tide gauge {thread}, reading {n}", namespace="tide")
        os.write(1, f"{kept.id}\n".encode())  # acknowledged: from here on it must not be lost


for thread in range(4):
    Thread(target=log, args=(thread,)).start()
