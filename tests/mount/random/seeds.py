"""The seeds of a test: SCALEFS_SEED alone where it is given; else half of them always the same, half the commit's
(SCALEFS_COMMIT_SEED), so that each commit tries others."""

import os


def seeds(first, count):
    """`first` keeps the seeds of different tests apart; at most 1000 each."""
    if 'SCALEFS_SEED' in os.environ:
        return [int(os.environ['SCALEFS_SEED'])]
    commit = int(os.environ.get('SCALEFS_COMMIT_SEED', 0)) % 10**9
    fresh = count // 2 if commit else 0
    return [first + i for i in range(count - fresh)] + [commit * 10_000 + first + i for i in range(fresh)]
