from pathlib import Path

from crash import crowd


def test_a_crowd_of_processes_writes_fairly_without_an_error_and_loses_nothing(
    tmp_path: Path,
) -> None:
    found = crowd.play(tmp_path, writers=4, readers=4, seconds=3)
    found.require()
    assert sum(found.writes) > 100
    assert all(found.recalls)


def test_what_one_process_remembers_another_recalls_at_once(tmp_path: Path) -> None:
    assert crowd.answers(tmp_path, rounds=60) == 60
