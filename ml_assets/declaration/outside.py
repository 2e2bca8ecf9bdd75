"""Factories of estimators from elsewhere, by `package.module:factory`.

What belongs here: importing one so that nothing it does ends the process. What does not: what it is called with and
what comes of that (`fitting/estimators.py`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def factory_of(name: str) -> Callable[..., Any]:
    """What the name stands for.

    Raises:
        ValueError: saying why it cannot be used.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the foreign module raises, also SystemExit
        raise ValueError(
            f"cannot be imported ({type(error).__name__}: {error}); is it installed and spelled package.module:factory?"
        ) from None
    if not callable(found):
        raise ValueError("cannot be called; name a function or class that returns an estimator")
    return found
