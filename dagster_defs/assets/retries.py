"""What is tried again: whatever may pass by itself, and nothing else.

What belongs here: how often and after how long. What does not: which errors may pass (`ml_assets.errors.may_pass`).

An error that may pass is shown as a retry of the step; any other fails the step at once, as it was raised.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import dagster as dg

from ml_assets.errors import may_pass

MOST_RETRIES = 2
SECONDS_BETWEEN = 5
# Another writer has the warehouse for as long as its dbt build takes. dbt waits for its turn itself; when it has given
# up after the longest wait that is set, that is an answer.
SECONDS_BETWEEN_DBT = 30

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@contextmanager
def trying_again(seconds: float) -> Iterator[None]:
    """Turns an error that may pass into the request to run the step again after so many seconds."""
    try:
        yield
    except Exception as error:
        if may_pass(error):
            raise dg.RetryRequested(max_retries=MOST_RETRIES, seconds_to_wait=seconds) from error
        raise


def tried_again(step: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """The same step, tried again where its error may pass."""

    @wraps(step)
    def trying(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> _Result:
        with trying_again(SECONDS_BETWEEN):
            return step(*arguments, **named)

    return trying
