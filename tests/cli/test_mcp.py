"""`haulout mcp`: what a person sees who starts it; what a client sees is in tests/server."""

from __future__ import annotations

import importlib.util


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
