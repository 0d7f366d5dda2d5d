from crash import flips


def test_a_flipped_byte_in_anything_decoded_is_refused_or_changes_nothing() -> None:
    outcomes = flips.decoders(20_000, seed=1)
    assert not flips.findings(outcomes)
    assert outcomes.total() == 20_000
    assert outcomes["refused"] > 19_000


def test_control_without_a_mac_flipped_payloads_are_read_as_other_memories() -> None:
    outcomes = flips.bare_payloads(500, seed=1)
    assert outcomes["payload, bare: silently another value"] > 100


def test_a_flipped_byte_in_a_file_is_named_or_changes_no_answer() -> None:
    outcomes = flips.files(300, seed=1)
    assert not flips.findings(outcomes)
    assert outcomes["refused"] > 100
    assert outcomes["identical"] > 10


def test_control_without_macs_flipped_files_are_read_as_other_texts() -> None:
    outcomes = flips.plain_sqlite(200, seed=1)
    assert outcomes["silently other texts"] > 20
