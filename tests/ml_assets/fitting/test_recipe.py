"""What makes a candidate another by its code: what the code does, not how it is written down."""

from __future__ import annotations

from pathlib import Path

import pytest

import ml_assets
from ml_assets.fitting.recipe import FITTING_SOURCES, recipe_of

SOURCE = '''
"""Adds."""

from ml_assets.measuring.metrics import Floats


class Adder:
    """Adds a number."""

    step: int = 1

    def fit(self, X: Floats) -> "Adder":
        """Learns nothing."""
        return self  # nothing
'''


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [
        pytest.param('"""Adds."""', '"""Adds numbers."""', id="docstring of the module"),
        pytest.param('"""Learns nothing."""', '"""Learns, and learns."""', id="docstring of a method"),
        pytest.param("  # nothing", "", id="comment"),
        pytest.param("ml_assets.measuring.metrics", "ml_assets.elsewhere", id="a module that moved"),
        pytest.param(' -> "Adder"', "", id="annotation"),
        pytest.param("return self", "return (\n            self\n        )", id="layout"),
    ],
)
def test_what_changes_no_fit_changes_no_recipe(written: str, otherwise: str) -> None:
    assert written in SOURCE

    assert recipe_of(SOURCE.replace(written, otherwise)) == recipe_of(SOURCE)


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [
        pytest.param("step: int = 1", "step: int = 2", id="a default"),
        pytest.param("return self", "return None", id="what is returned"),
        pytest.param("import Floats", "import Codes", id="what is imported"),
        pytest.param("def fit(self, X:", "def fit(self, Y:", id="an argument"),
    ],
)
def test_what_may_change_a_fit_changes_the_recipe(written: str, otherwise: str) -> None:
    assert written in SOURCE

    assert recipe_of(SOURCE.replace(written, otherwise)) != recipe_of(SOURCE)


def test_every_source_of_a_recipe_is_there() -> None:
    package = Path(ml_assets.__file__).parent

    assert [place for place in FITTING_SOURCES.values() if not (package / place).exists()] == []
