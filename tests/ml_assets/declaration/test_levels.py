"""Levels of tables are read with every mistake named, and what is late for one cause is one incident from its beginning to its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.declaration.levels import read_levels
from ml_assets.errors import DeclarationError
from ml_assets.observing.lateness import Lateness, State, find_lateness, settle_incidents

# A door without a level of its own, two features, a training set; and two tables that stand on nothing of these.
PARENTS = {
    "door": [],
    "base": ["door"],
    "ftr_a": ["base"],
    "ftr_b": ["base"],
    "trn": ["ftr_a", "ftr_b"],
    "mart": ["trn"],
    "elsewhere": [],
    "beyond": ["elsewhere"],
}


def node(name: str, service: object, *, kind: str = "model", folder: str = "models/features") -> dict[str, Any]:
    return {
        "name": name,
        "resource_type": kind,
        "original_file_path": f"{folder}/{name}.sql",
        "patch_path": f"shop://{folder}/{name}.yml",
        "config": {"meta": {} if service is None else {"service": service}},
    }


def manifest_of(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"nodes": {f"{one['resource_type']}.shop.{one['name']}": one for one in nodes}}


def late(*assets: str, on_time: tuple[str, ...] = ()) -> dict[str, State]:
    return {**dict.fromkeys(assets, "late"), **dict.fromkeys(on_time, "on_time")}


# --- what is declared


def test_a_level_is_read_where_one_is_declared() -> None:
    manifest = manifest_of(
        node("ftr_a", {"late_after": "26 hours"}), node("ftr_b", None), node("t", {"anything": 1}, kind="test")
    )

    assert read_levels(manifest) == {"model.shop.ftr_a": timedelta(hours=26)}


def test_a_public_table_without_a_level_has_that_of_its_domain_and_one_may_say_otherwise() -> None:
    tables = [
        node("ftr_a", None) | {"fqn": ["perennial", "features", "shop", "ftr_a"], "access": "public"},
        node("ftr_b", {"late_after": "3 days"})
        | {"fqn": ["perennial", "features", "shop", "ftr_b"], "access": "public"},
        node("int_c", None) | {"fqn": ["perennial", "intermediate", "shop", "int_c"], "access": "protected"},
        node("ftr_d", None) | {"fqn": ["perennial", "features", "zoo", "ftr_d"], "access": "public"},
        node("fct_e", None) | {"fqn": ["perennial", "marts", "core", "fct_e"], "access": "public"},
    ]
    group = {
        "name": "shop",
        "owner": {"name": "Shop", "email": "shop@example.com"},
        "config": {"meta": {"domain": {"late_after": "26 hours"}}},
    }

    levels = read_levels({**manifest_of(*tables), "groups": {"group.perennial.shop": group}})

    assert levels == {"model.shop.ftr_a": timedelta(hours=26), "model.shop.ftr_b": timedelta(days=3)}


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (
            {"late_after": "1 dya"},
            "config.meta.service.late_after: found '1 dya', not a span of time such as '28 days'",
        ),
        ({"late_after": 3}, "config.meta.service.late_after: found 3, not a span of time"),
        ({"late_after": "0.5 minutes"}, "late_after: found '0.5 minutes', less than a minute"),
        ({"late_afte": "1 day"}, "config.meta.service.late_afte: is no key of this block; did you mean 'late_after'?"),
        ({}, "config.meta.service.late_after: is missing"),
        ("1 day", "config.meta.service: found '1 day', which is no mapping; it takes late_after"),
    ],
)
def test_a_wrong_level_is_named_with_its_file_and_what_would_be_right(service: object, words: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_levels(manifest_of(node("ftr_a", service)))

    assert any(problem.startswith("models/features/ftr_a.yml: ftr_a: ") for problem in caught.value.problems)
    assert any(words in problem for problem in caught.value.problems)


def test_a_mistake_of_a_whole_folder_is_told_once_and_names_where_folders_are_declared() -> None:
    wrong = {"late_after": "often"}

    with pytest.raises(DeclarationError) as caught:
        read_levels(manifest_of(*(node(name, wrong) for name in ("ftr_c", "ftr_a", "ftr_b"))))

    (problem,) = caught.value.problems
    assert problem.startswith("dbt_project.yml (models/features) or models/features/ftr_a.yml: ftr_a and 2 beside it: ")


# --- what is late


def test_nothing_late_is_no_incident() -> None:
    assert find_lateness(late(on_time=("ftr_a", "mart")), PARENTS) == ()


def test_what_is_late_behind_something_late_belongs_to_it() -> None:
    assert find_lateness(late("ftr_a", "trn", "mart", on_time=("ftr_b",)), PARENTS) == (
        Lateness(("ftr_a",), ("mart", "trn")),
    )


def test_what_stands_on_the_same_unknown_thing_is_late_together() -> None:
    assert find_lateness(late("ftr_a", "ftr_b"), PARENTS) == (Lateness(("ftr_a", "ftr_b"), ()),)


def test_what_is_on_time_is_no_common_cause() -> None:
    assert find_lateness(late("ftr_a", "ftr_b", on_time=("base",)), PARENTS) == (
        Lateness(("ftr_a",), ()),
        Lateness(("ftr_b",), ()),
    )


def test_what_shares_nothing_is_late_for_itself() -> None:
    assert find_lateness(late("trn", "beyond"), PARENTS) == (Lateness(("beyond",), ()), Lateness(("trn",), ()))


def test_the_cause_with_most_behind_it_is_named_first() -> None:
    found = find_lateness(late("a", "z", "m"), {"a": ["root"], "z": ["root"], "m": ["z"]})

    assert found == (Lateness(("z", "a"), ("m",)),)


NAMES = [f"asset_{number}" for number in range(8)]


@given(
    edges=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda edge: edge[0] < edge[1]), max_size=14),
    states=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["late", "on_time"])),
)
def test_every_late_asset_is_in_one_incident_and_nothing_else_is(
    edges: set[tuple[int, int]], states: dict[str, State]
) -> None:
    parents: dict[str, list[str]] = {name: [] for name in NAMES}
    for upper, lower in edges:
        parents[NAMES[lower]].append(NAMES[upper])

    found = find_lateness(states, parents)

    told = [asset for lateness in found for asset in (*lateness.first, *lateness.behind)]
    assert sorted(told) == sorted(asset for asset, state in states.items() if state == "late")
    for lateness in found:
        assert lateness.first
        direct = {parent for asset in lateness.first for parent in parents[asset]}
        assert not direct & set(told), "what is late directly above it would be the cause"


# --- from its beginning to its end


class Told:
    """What was told, while states follow on each other."""

    def __init__(self) -> None:
        self.standing: Mapping[str, frozenset[str]] = {}

    def see(self, states: Mapping[str, State]) -> tuple[list[str], list[str]]:
        incidents = settle_incidents(self.standing, find_lateness(states, PARENTS))
        self.standing = incidents.standing
        return list(incidents.opened), list(incidents.closed)


def test_an_incident_is_told_once_however_far_it_spreads() -> None:
    told = Told()

    assert told.see(late("ftr_b", on_time=("trn", "mart"))) == (["ftr_b"], [])
    assert told.see(late("ftr_a", "ftr_b", on_time=("trn", "mart"))) == ([], [])
    assert told.see(late("ftr_a", "ftr_b", "trn", "mart")) == ([], [])


def test_an_incident_is_over_when_all_of_it_was_made_and_not_before() -> None:
    told = Told()
    told.see(late("ftr_a", "ftr_b", "trn", "mart"))

    assert told.see(late("trn", "mart", on_time=("ftr_a", "ftr_b"))) == ([], [])
    assert told.see(late("mart", on_time=("ftr_a", "ftr_b", "trn"))) == ([], [])
    assert told.see(late(on_time=("ftr_a", "ftr_b", "trn", "mart"))) == ([], ["ftr_a"])
    assert told.standing == {}


def test_another_cause_is_another_incident() -> None:
    told = Told()
    told.see(late("trn"))

    assert told.see(late("trn", "beyond")) == (["beyond"], [])
    assert told.see(late("trn", on_time=("beyond",))) == ([], ["beyond"])


def test_two_incidents_that_grow_together_are_told_no_third_time() -> None:
    told = Told()

    assert told.see(late("ftr_a", "ftr_b", on_time=("base",))) == (["ftr_a", "ftr_b"], [])
    assert told.see(late("ftr_a", "ftr_b", "trn", on_time=("base",))) == ([], [])
    assert told.see({}) == ([], ["ftr_a", "ftr_b"])
