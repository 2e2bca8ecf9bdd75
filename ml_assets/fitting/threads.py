"""How many threads the numeric libraries may use.

What belongs here: the limit. What does not: parallel work of our own; there is none.

One thread unless the caller asks for more: OpenMP's threads wait by spinning, so on a machine that is busy with other
things two threads took eleven times as long as one (336,000 rows, 53 features: 392 s against 36 s), for the same model.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def limited_to(threads: int) -> AbstractContextManager[object]:
    """A context in which OpenMP uses up to `threads` threads, and BLAS one: it adds parallel sums in changing order."""
    return _controller().limit(limits={"openmp": threads, "blas": 1})


@cache
def _controller() -> ThreadpoolController:
    """Finding the loaded libraries takes a millisecond, so it is done once, when all of them are loaded."""
    import sklearn.ensemble  # noqa: F401 (loads them)

    return ThreadpoolController()
