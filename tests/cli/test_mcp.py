"""`haulout mcp`: what a person sees who starts it; what a client sees is in tests/server."""

from __future__ import annotations

import importlib.util
import threading
import time


def test_without_the_package_it_says_how_to_install_it(mine, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "mcp" else found(name)
    )
    run = mine("mcp", "--app", "bot")
    assert run.code == 2
    assert 'pip install "haulout[mcp]"' in run.err


def test_it_needs_the_name_of_an_app(mine):
    run = mine("mcp")
    assert run.code == 2
    assert "--app" in run.err


def serving(until):
    """What serves MCP in these tests: it looks at the vault until something holds."""

    def serve(vault, principal):
        deadline = time.monotonic() + 30
        while not until(vault) and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert until(vault)

    return serve


def test_while_it_serves_what_is_new_goes_to_the_stores(spread, monkeypatch):
    spread("remember", "new")
    monkeypatch.setattr(
        "haulout.server.mcp.serve_stdio", serving(lambda vault: vault.stores().complete)
    )
    assert spread("mcp", "--app", "bot").code == 0
    assert spread("stats", "--json").json["durability"] == "remote"


def test_why_nothing_can_be_sent_is_said_on_standard_error(spread, monkeypatch, home):
    spread("remember", "new")
    for name in ("v0", "v1", "v2"):
        (home / name).rename(home / f"{name}-away")
    told = []
    monkeypatch.setattr("haulout.cli.mcp.screen.warn", told.append)
    monkeypatch.setattr("haulout.server.mcp.serve_stdio", serving(lambda _: told))
    run = spread("mcp", "--app", "bot")
    assert (run.code, run.out) == (0, "")
    assert told


def test_a_vault_without_stores_is_served_without_a_thread_for_them(mine, monkeypatch):
    monkeypatch.setattr(
        "haulout.server.mcp.serve_stdio", serving(lambda vault: vault._background is None)
    )
    assert mine("mcp", "--app", "bot").code == 0
