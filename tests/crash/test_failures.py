import errno

from crash import failures


def test_a_call_that_fails_leads_to_no_false_acknowledgement_and_an_error_that_names_a_file() -> (
    None
):
    every = failures.every(300)
    chosen = every[::23] + [next(f for f in every if f.kind == kind) for kind in failures.KINDS]
    chosen += [failures.Failure("sync", at, errno.EIO, forever=False) for at in range(1, 21)]
    verdict = failures.survive(chosen)
    verdict.require()
    assert verdict.trials == len(chosen) > 60
