"""`haulout model`."""

from __future__ import annotations

from haulout.index.models import ModelFolder


def test_status_says_what_is_missing_and_what_to_do(mine, monkeypatch):
    monkeypatch.setattr("haulout.index.models.find", lambda _folder: None)
    run = mine("model", "status")
    assert (run.code, "Recall is by words." in run.out) == (0, True)
    assert "haulout model install" in run.err
    assert mine("model", "status", "--json").json["folder"] is None


def test_install_puts_the_model_beside_the_vault(mine, home, monkeypatch):
    asked = []

    def install(source, folder, *, progress):
        asked.append((source, folder))
        return ModelFolder(folder / "m", "installed")

    monkeypatch.setattr("haulout.index.models.install", install)
    answer = mine("model", "install", "--from", "hub", "--json").json
    assert asked == [("hub", home / "vault" / "models")]
    assert answer == {"path": str(home / "vault" / "models" / "m"), "embedded": 0}


def test_a_folder_without_the_model_is_an_error(mine, home):
    run = mine("model", "install", "--from", home)
    assert run.code == 1
    assert "model.safetensors" in run.err


def test_install_wants_a_vault_first(haulout):
    assert haulout("model", "install").code == 5
