"""A second domain, made up: a small shop's orders and what came back of them, with one feature table, one training set and one model.

Here: its folders in a copy of the dbt project, its landing files, and what its model would have written to the lake. Not here: what is expected.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from dbt_homes import Home

from ml_assets.lake.results import EVALUATION_SCHEMA, PREDICTION_SCHEMA
from ml_assets.lake.snapshot import Lake

DOMAIN = "shop"
FIRST_DAY = datetime(2021, 1, 30, tzinfo=UTC)

SOURCES = """
sources:
  - name: till
    description: Made up.
    loader: a test
    tables:
      - name: orders
        description: One row per order.
        config: {meta: {landing: true, known_at: reported_at, key: [order_id]}}
        columns:
          - {name: order_id, data_type: integer, description: Number., config: {meta: {required: true}}}
          - {name: customer, data_type: varchar, description: Who., config: {meta: {required: true}}}
          - {name: cents, data_type: integer, description: Price., config: {meta: {required: true, minimum: 0}}}
          - {name: reported_at, data_type: timestamp, description: When., config: {meta: {required: true}}}
      - name: returns
        description: One row per order whose time to come back is over.
        config: {meta: {landing: true, known_at: reported_at, key: [order_id]}}
        columns:
          - {name: order_id, data_type: integer, description: Number., config: {meta: {required: true}}}
          - {name: is_returned, data_type: boolean, description: Whether it came back., config: {meta: {required: true}}}
          - {name: reported_at, data_type: timestamp, description: When., config: {meta: {required: true}}}
"""
DOMAIN_GROUP = """
groups:
  - name: shop
    owner: {name: Shop, email: shop@example.com}
    config: {meta: {domain: {window: month, late_after: 3 days}}}
"""
FEATURE = """
{{ config(unique_key=['customer', 'known_at']) }}
{%- set changed_from = changed_from() %}
with landed as (
    {{ landed_facts(ref('base_till__orders')) }}
),
events as (
    select customer, known_at, 1 as orders, cents from landed
    where known_at >= {{ changed_from }}
),
accumulated as (
    {{ accumulate('events', keys=['customer'], measures=['orders', 'cents'], changed_from=changed_from) }}
)
select * from accumulated
"""
FEATURE_YAML = """
models:
  - name: ftr_customer__orders
    config: {meta: {publish: {by: known_at, part: month, order_by: [customer, known_at]}}}
    data_tests:
      - unique_combination:
          arguments: {columns: [customer, known_at]}
    columns:
      - {name: customer, data_type: varchar}
      - {name: known_at, data_type: timestamp}
      - {name: orders, data_type: bigint}
      - {name: cents, data_type: bigint}
"""
TRAINING_SET = """
{{ config(unique_key='order_id') }}
{%- set changed_from = changed_from() %}
with orders as (
    {{ landed_facts(ref('base_till__orders')) }}
),
returns as (
    {{ landed_facts(ref('base_till__returns')) }}
),
decided as (
    select
        orders.order_id,
        orders.customer,
        orders.known_at as decided_at,
        features.orders - 1 as earlier_orders,
        features.cents,
        returns.is_returned,
        returns.known_at as outcome_known_at
    from orders
    asof inner join {{ ref('ftr_customer__orders') }} as features
        on orders.customer = features.customer and orders.known_at >= features.known_at
    left join returns on orders.order_id = returns.order_id
)
select * from decided where decided_at >= {{ changed_from }} or outcome_known_at >= {{ changed_from }}
"""
TRAINING_SET_YAML = """
models:
  - name: trn_returned
    config: {meta: {publish: {by: decided_at, part: year, order_by: [decided_at, order_id]}}}
    columns:
      - {name: order_id, data_type: integer, config: {meta: {role: entity}}}
      - {name: customer, data_type: varchar, config: {meta: {role: feature}}}
      - {name: decided_at, data_type: timestamp, config: {meta: {role: decision_at}}}
      - {name: earlier_orders, data_type: bigint, config: {meta: {role: feature}}}
      - {name: cents, data_type: bigint, config: {meta: {role: feature}}}
      - {name: is_returned, data_type: boolean, config: {meta: {role: label}}}
      - {name: outcome_known_at, data_type: timestamp, config: {meta: {role: label_known_at}}}
"""
MODEL = """
exposures:
  - name: returned
    type: ml
    label: Returned
    owner: {name: Shop, email: shop@example.com}
    depends_on: [ref('trn_returned')]
    description: Made up.
    config:
      meta:
        ml:
          task: binary_classification
          label: is_returned
          estimator: logistic
          evaluation: {metric: log_loss, window: 28 days}
"""
INCREMENTAL = "{{ config(materialized='incremental', incremental_strategy='append') }}\n"
BASES = "[ref('base_till__orders'), ref('base_till__returns')]"
FILES = {
    "staging/shop/_shop__domain.yml": DOMAIN_GROUP,
    "staging/shop/_till__sources.yml": SOURCES,
    "staging/shop/base_till__orders.sql": INCREMENTAL + "{{ landed_rows('till', 'orders') }}\n",
    "staging/shop/base_till__returns.sql": INCREMENTAL + "{{ landed_rows('till', 'returns') }}\n",
    "staging/shop/stg_shop__quarantine.sql": f"{{{{ domain_quarantine({BASES}) }}}}\n",
    "intermediate/shop/int_shop__intake.sql": INCREMENTAL + f"{{{{ domain_intake({BASES}) }}}}\n",
    "features/shop/ftr_customer__orders.sql": FEATURE,
    "features/shop/ftr_customer__orders.yml": FEATURE_YAML,
    "training/shop/trn_returned.sql": TRAINING_SET,
    "training/shop/trn_returned.yml": TRAINING_SET_YAML,
    "marts/shop/fct_shop__predictions.sql": "{{ domain_predictions([ref('trn_returned')]) }}\n",
    "ml_models/shop/returned.yml": MODEL,
}
# What every domain has word for word, but for its name.
LIKE_ANOTHERS = (
    "staging/{}/_lake_{}__sources.yml",
    *(f"staging/{{}}/stg_{{}}__{name}" for name in ("predictions.sql", "reference_predictions.sql")),
    *(f"staging/{{}}/stg_{{}}__{name}.yml" for name in ("predictions", "reference_predictions", "quarantine")),
    *(
        f"intermediate/{{}}/int_{{}}__{name}"
        for name in ("watermark.sql", "model_versions.sql", "feature_reference.sql")
    ),
    *(
        f"intermediate/{{}}/int_{{}}__{name}.yml"
        for name in ("watermark", "intake", "model_versions", "feature_reference")
    ),
    "marts/{}/fct_{}__predictions.yml",
    *(
        f"monitoring/{{}}/mon_{{}}__{name}.{kind}"
        for name in ("data_health", "performance", "feature_drift", "prediction_drift")
        for kind in ("sql", "yml")
    ),
)


def add_shop(project: Path, like: str = "flights") -> Path:
    """Writes the domain into a copy of the dbt project; what it has as any other is taken from `like`."""
    models = project / "models"
    for path, text in FILES.items():
        (models / path).parent.mkdir(parents=True, exist_ok=True)
        (models / path).write_text(text.lstrip("\n"))
    for pattern in LIKE_ANOTHERS:
        text = (models / pattern.format(like, like)).read_text()
        path = models / pattern.format(DOMAIN, DOMAIN)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(like, DOMAIN))
    return project


def remove_domain(project: Path, domain: str) -> Path:
    """Deletes the folders of a domain, and nothing else."""
    for folder in (*project.glob(f"models/*/{domain}"), *project.glob(f"seeds/{domain}")):
        shutil.rmtree(folder)
    return project


def remove_other_domains(project: Path) -> Path:
    """Deletes the folders of all domains but the shop, and nothing else."""
    for domain in {folder.name for folder in project.glob("models/staging/*")} - {"core", DOMAIN}:
        remove_domain(project, domain)
    return project


def land_orders(home: Home, days: Sequence[int], orders_a_day: int = 12) -> None:
    """Orders of these days of the shop, and the returns of the orders of the day before each."""
    for day in days:
        today = FIRST_DAY + timedelta(days=day)
        orders = ["order_id,customer,cents,reported_at"]
        returns = ["order_id,is_returned,reported_at"]
        for number in range(orders_a_day):
            identity, moment = day * orders_a_day + number, today + timedelta(minutes=61 * number)
            orders.append(f"{identity},{'abc'[number % 3]},{100 + 7 * number + day},{moment:%Y-%m-%dT%H:%M:%SZ}")
            if day:
                word = str(identity % 5 == 0).lower()
                returns.append(f"{identity - orders_a_day},{word},{moment:%Y-%m-%dT%H:%M:%SZ}")
        home.land(f"till/orders/{today:%Y-%m-%d}.csv", "\n".join(orders) + "\n")
        if day:
            home.land(f"till/returns/{today:%Y-%m-%d}.csv", "\n".join(returns) + "\n")


def answer(home: Home, model: str, table: str, entity: str, decided_at: str) -> None:
    """What a first version of a model would have written: an answer to each published decision, its evaluation, and what it answered when it was judged."""
    lake = Lake(home.path / "lake")
    rows = lake.open().read(table, [entity, decided_at]).to_pandas()
    trained_at = rows[decided_at].quantile(0.6)
    for day, of_day in rows.groupby(rows[decided_at].dt.date):
        assert isinstance(day, date)
        made = pd.DataFrame(
            {
                "model": model,
                "decision_key": of_day[entity].astype(str),
                "decision_at": of_day[decided_at],
                "model_version": 1,
                "model_sha256": "0" * 64,
                "prediction": np.linspace(0.1, 0.9, len(of_day)),
                "prediction_status": "champion",
                "status_reason": None,
                "scored_as_of": trained_at,
            }
        )
        lake.write_predictions(
            model,
            day,
            pa.Table.from_pandas(
                made.reindex(columns=PREDICTION_SCHEMA.names), schema=PREDICTION_SCHEMA, preserve_index=False
            ),
        )
    figure = [model, 1, trained_at, "candidate", "overall", "", "log_loss", 0.5, None, None, len(rows)]
    lake.write_evaluation(model, 1, pa.table([[value] for value in figure], schema=EVALUATION_SCHEMA))
    lake.write_reference_predictions(model, 1, np.linspace(0.2, 0.8, 50))
