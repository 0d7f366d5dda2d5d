from crash import erasure


def test_after_a_forget_its_words_are_nowhere_in_any_page() -> None:
    residue = erasure.trial(1, reading=False)
    residue.require()
    assert not residue.pending


def test_after_a_forget_beside_a_reading_process_its_words_are_nowhere_or_pending() -> None:
    residue = erasure.trial(2, reading=True)
    residue += erasure.trial(3, reading=True)
    residue.require()


def test_control_without_the_scrub_the_words_are_found_in_pages() -> None:
    residue = erasure.trial(1, reading=False, scrub="none")
    assert residue.hits["token in memory.db-wal"] > 0
    assert residue.hits["vector in memory.db-wal"] > 0
