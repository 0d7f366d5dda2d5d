"""One run of a command: which vault, in which form to answer, and how the vault is opened."""

from __future__ import annotations

import getpass
import json
import os
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from haulout.cli import screen
from haulout.errors import VaultLockedError

if TYPE_CHECKING:
    from haulout.index.embed import Embedder
    from haulout.operations import AnyOperation
    from haulout.vault import Vault
    from haulout.vault.stores.storeoptions import StoreOptions

_TRIES = 3
_Opened = TypeVar("_Opened")
_CREDENTIALS = (
    ("AWS_ACCESS_KEY_ID", "s3.access_key_id"),
    ("AWS_SECRET_ACCESS_KEY", "s3.secret_access_key"),
    ("AWS_SESSION_TOKEN", "s3.session_token"),
    ("AWS_DEFAULT_REGION", "s3.region"),
    ("AWS_REGION", "s3.region"),
    ("AWS_ENDPOINT_URL", "s3.endpoint"),
    ("AWS_ENDPOINT_URL_S3", "s3.endpoint"),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", "gs.service_account_key"),
    ("AZURE_STORAGE_KEY", "az.access_key"),
    ("AZURE_STORAGE_SAS_TOKEN", "az.sas_token"),
    ("WALRUS_TOKEN", "walrus.token"),
)


@dataclass(slots=True)
class Session:
    """What the options before or behind a verb say, shared by all that the verb does."""

    vault: Path | None = None
    json: bool = False

    # ------------------------------------------------------------------ the vault

    def folder(self) -> Path:
        """Where the vault is, or would be."""
        from haulout.vault.opening import default_folder

        return self.vault.expanduser() if self.vault else default_folder()

    @contextmanager
    def opened(self, store_options: StoreOptions | None = None) -> Generator[Vault]:
        """The vault, open for the block; asks for a passphrase where its key wants one."""
        from haulout.vault import Vault

        embedder = self.embedder()
        with self.warnings_told():
            vault = self._unlocked(
                lambda words: Vault.open(
                    self.vault,
                    passphrase=words,
                    embedder=embedder,
                    credentials=self.credentials(),
                    store_options=store_options,
                )
            )
        with vault:
            yield vault

    def run(
        self,
        vault: Vault,
        operation: AnyOperation,
        *,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Any:
        """Carry out one operation as the owner, who is whoever can open the vault here."""
        from haulout.operations import OWNER, execute

        with self.warnings_told():
            return execute(vault, OWNER, operation, progress=progress)

    def embedder(self) -> Embedder | str:
        """What turns text into vectors, as the environment says."""
        setting = os.environ.get("HAULOUT_EMBEDDER") or "auto"
        key = os.environ.get("HAULOUT_EMBEDDER_KEY")
        if key and setting.startswith(("http://", "https://")):
            from haulout.index.models import open_embedder

            return open_embedder(setting, None, key=key) or setting
        return setting

    def credentials(self) -> dict[str, str]:
        """What stores want beside a URL, from the variables that their own tools read."""
        given = {name: os.environ[one] for one, name in _CREDENTIALS if os.environ.get(one)}
        if given.get("s3.endpoint", "").startswith("http://"):
            given["s3.allow_http"] = "true"  # a server of one's own, said so by its address
        return given

    @staticmethod
    def store_options(limit_up: int | None, limit_down: int | None) -> StoreOptions | None:
        """What stores may take of the line, where something was said about it."""
        if limit_up is None and limit_down is None:
            return None
        from haulout.vault.stores.storeoptions import StoreOptions

        return StoreOptions(limit_up=limit_up, limit_down=limit_down)

    @staticmethod
    def place(url: str) -> str:
        """A place for volumes as it was typed: `~` stands for the home folder."""
        return str(Path(url).expanduser()) if url.startswith("~") else url

    def lacks_model(self) -> bool:
        """Whether recall is by words alone because no model is installed."""
        from haulout.index.models import open_embedder

        return self.embedder() == "auto" and not open_embedder("auto", self.folder() / "models")

    def _unlocked(self, open_vault: Callable[[str | None], _Opened]) -> _Opened:
        given = os.environ.get("HAULOUT_PASSPHRASE")
        try:
            return open_vault(given)
        except VaultLockedError as error:
            if given is not None or not wants_passphrase(self.folder()):
                raise
            if not sys.stderr.isatty():
                hint = "Set HAULOUT_PASSPHRASE, or run the command in a terminal."
                raise VaultLockedError(error.message, hint=hint) from error
        for _ in range(_TRIES - 1):
            try:
                return open_vault(getpass.getpass("Passphrase: "))
            except VaultLockedError as error:
                click.echo(error.message, err=True)
        return open_vault(getpass.getpass("Passphrase: "))

    def new_passphrase(self) -> str:
        """A passphrase for a new key: from the environment, or typed twice."""
        given = os.environ.get("HAULOUT_PASSPHRASE")
        if given:
            return given
        if not sys.stderr.isatty():
            message = "There is no terminal to type a passphrase in; set HAULOUT_PASSPHRASE."
            raise click.UsageError(message)
        while True:
            first = getpass.getpass("New passphrase: ")
            if not first:
                click.echo("It is empty. Choose one, or press Ctrl-C.", err=True)
            elif getpass.getpass("The same again:  ") == first:
                return first
            else:
                click.echo("These two differ. Once more.", err=True)

    @contextmanager
    def warnings_told(self) -> Generator[None]:
        """Show the library's warnings as lines for a person, or as JSON."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield
        for one in caught:
            if self.json:
                told = {"warning": type(one.message).__name__, "message": str(one.message)}
                click.echo(json.dumps(told, ensure_ascii=False).encode(), err=True)
            else:
                screen.warn(str(one.message))

    # ------------------------------------------------------------------ the answer

    def answer(self, value: object, show: Callable[[], None]) -> None:
        """Give a verb's result: as JSON where that is wanted, else as ``show`` prints it."""
        if self.json:
            screen.write_json(value)
        else:
            show()

    def tell_age(self, vault: Vault) -> None:
        """Say on standard error how old a replica is; nothing of another vault."""
        if not vault.is_replica:
            return
        stats = vault.stats()
        if self.json:
            told = {"head": stats.head, "as_of": stats.as_of, "refreshed_at": stats.refreshed_at}
            click.echo(json.dumps(told, default=str).encode(), err=True)
        else:
            head = f"head {stats.head:,} of {screen.minute(stats.as_of)}"
            screen.note(f"A replica, as of {screen.ago(stats.refreshed_at)}: {head}.")

    def note(self, words: str) -> None:
        """Say how something given was understood."""
        if not self.json:
            screen.note(words)

    def suggest(self, words: str) -> None:
        """Say what else could be done, to a person at a terminal only."""
        if not self.json and sys.stderr.isatty():
            screen.note(words)

    def progress(self, words: str, *, unit: str = "", keep: bool = False) -> screen.ProgressContext:
        """A progress bar on standard error; nothing in a pipe or with ``--json``."""
        return screen.progress(words, unit=unit, keep=keep, quiet=self.json)


def wants_passphrase(folder: Path) -> bool:
    """Whether the key file there is under a passphrase."""
    from haulout.crypto.keyfile import decode_keyfile
    from haulout.vault.opening import KEYFILE

    try:
        decode_keyfile((folder / KEYFILE).read_bytes(), passphrase=None, name=KEYFILE)
    except VaultLockedError:
        return True
    return False
