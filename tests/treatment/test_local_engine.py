"""The engine of one machine: fragments one after the other, none before it is asked for."""

import pytest

from pseudonymization.engines.local import Local
from pseudonymization.faults import Unresolved


def test_an_engine_runs_lazily_in_order_and_ends_at_the_first_fault() -> None:
    begun = []

    def treat_one(fragment: int) -> int:
        begun.append(fragment)
        if fragment == 3:
            raise Unresolved("a fault of this fragment")
        return fragment * 10

    results = Local().map(treat_one, iter(range(5)))
    assert next(results) == 0
    assert begun == [0]
    assert [next(results), next(results)] == [10, 20]
    with pytest.raises(Unresolved):
        next(results)
    assert begun == [0, 1, 2, 3]
