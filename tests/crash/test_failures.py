import errno

from crash import failures


def test_a_call_that_fails_leads_to_no_false_acknowledgement_and_an_error_that_names_a_file() -> (
    None
):
    chosen = failures.every(300, step=23)
    chosen += [failures.Failure("sync", at, errno.EIO, forever=False) for at in range(1, 21)]
    assert {failure.kind for failure in chosen} == set(failures.KINDS)
    verdict = failures.survive(chosen)
    verdict.require()
    assert verdict.trials == len(chosen) > 60
