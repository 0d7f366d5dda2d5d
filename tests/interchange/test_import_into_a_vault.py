"""The same imports into a real vault: what it refuses, the stand-in must refuse too."""

import pytest
from interchange import agents, assistants
from interchange import fixtures as fx
from interchange.fixtures import save

from haulout.interchange import import_file
from haulout.vault import Vault


@pytest.fixture
def vault(tmp_path):
    made, _kit = Vault.create(tmp_path / "vault", embedder="none")
    with made:
        yield made


@pytest.mark.parametrize(
    "content",
    [
        fx.chatgpt_zip(),
        fx.to_zip(fx.claude_archives()),
        fx.MEMORY_MD,
        fx.to_lines(fx.CHAT_LINES),
        fx.to_lines(fx.OWN_LINES),
        fx.PASTED,
        assistants.gemini_page(),
        assistants.grok_zip(),
        assistants.COPILOT_CSV,
        fx.to_zip(agents.claude_code_projects()),
        fx.to_zip(agents.codex_folder()),
    ],
    ids=[
        "chatgpt",
        "claude",
        "markdown",
        "chats",
        "own",
        "pasted",
        "gemini",
        "grok",
        "copilot",
        "claude code",
        "codex",
    ],
)
def test_a_vault_takes_every_form_and_takes_it_once(tmp_path, vault, content):
    path = save(tmp_path, "x", content)
    first = import_file(path, vault.remember_many)
    assert first.added == first.taken > 0
    second = import_file(path, vault.remember_many)
    assert (second.added, second.already_there) == (0, first.added)


def test_what_a_vault_exports_another_takes(tmp_path, vault):
    vault.remember("Review on Tuesdays.", namespace="work/acme", tags=("work",), speaker="user")
    file = tmp_path / "export"
    vault.export(file)
    shelf = fx.Shelf()
    report = import_file(file, shelf, keep_namespaces=True)
    assert not report.problems
    assert shelf.by_text("Review on Tuesdays.")["namespace"] == "work/acme"
