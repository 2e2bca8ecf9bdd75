"""dbt's own unit tests hold: they stand in the YAML beside the models, and are run here rather than with every build."""

from __future__ import annotations

from dbt_homes import Home


def test_the_unit_tests_of_the_models_pass(home: Home) -> None:
    build = home.build("staging", "intermediate", unit_tests=True)

    assert build, build.failures()
    unit_tests = {node.name for node in home.project.manifest().unit_tests.values()}
    assert unit_tests <= build.statuses.keys()
