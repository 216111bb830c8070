"""A set of numbers is one, however many there are and however close."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavasms.campaigns.planning.contacts import number_set
from vavasms.campaigns.planning.contacts.number_set import NumberSet

FIRST = 2250700000000
#: Close together, some in blocks of their own, and the first and last of a block.
numbers = (
    st.integers(FIRST, FIRST + 300)
    | st.integers(1, 10**15)
    | st.sampled_from([0, 65535, 65536, 131071, 131072])
)
steps = st.lists(st.tuples(st.booleans(), numbers), max_size=400)


@pytest.mark.parametrize("few", [0, 5, 1_000])
@given(taken=steps)
def test_it_does_what_a_set_does(few: int, taken: list[tuple[bool, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(number_set, "_FEW", few)
        patch.setattr(number_set, "_DENSE", 3)
        seen, true = NumberSet(), set[int]()
        for is_added, number in taken:
            if is_added:
                assert seen.add(number) is (number not in true)
                true.add(number)
            else:
                seen.discard(number)
                true.discard(number)
        assert sorted(seen) == sorted(true)
        for number in {number for _is_added, number in taken}:
            assert (number in seen) is (number in true)
            assert seen.add(number) is (number not in true)
        assert "2250700000000" not in seen


def test_a_list_that_grows_past_the_few_forgets_nothing() -> None:
    seen = NumberSet()
    count = number_set._FEW + 70_000
    assert all(seen.add(FIRST + 3 * place) for place in range(count))
    assert not any(seen.add(FIRST + 3 * place) for place in range(count))
    assert all(seen.add(FIRST + 3 * place + 1) for place in range(1_000))
