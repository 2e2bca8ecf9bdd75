"""Our encoder: what it learns, what it does with what it has not seen, from Arrow and pandas alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from ml_assets.fitting.encoders import FeatureEncoder, FrameSelector


def table(shops: list[str | None], sizes: list[float | None]) -> pa.Table:
    return pa.table({"shop": pa.array(shops, pa.string()), "size": pa.array(sizes, pa.float64())})


def test_codes_follow_the_names_and_not_the_order_of_the_rows() -> None:
    one = FeatureEncoder(["shop"]).fit(table(["b", "a", None], [1, 2, 3]))
    other = FeatureEncoder(["shop"]).fit(table([None, "a", "b"], [1, 2, 3]))
    assert one.categories_ == other.categories_ == [["a", "b"]]


def test_an_unknown_category_is_missing() -> None:
    encoder = FeatureEncoder(["shop"], ["size"]).fit(table(["a", "b"], [1, 2]))
    np.testing.assert_array_equal(
        encoder.transform(table(["c", "b", None], [1, None, 3])), [[np.nan, 1], [1, np.nan], [np.nan, 3]]
    )


def test_only_the_most_frequent_categories_are_kept() -> None:
    encoder = FeatureEncoder(["shop"], max_categories=2).fit(table(["c", "c", "b", "a", "b", "d"], [0] * 6))
    assert encoder.categories_ == [["b", "c"]]


def test_arrow_dictionaries_and_pandas_give_the_same_matrix() -> None:
    plain = table(["x", "y", None, "x"], [1, 2, None, 4])
    encoder = FeatureEncoder(["shop"], ["size"]).fit(plain)
    coded = pa.concat_tables([plain.set_column(0, "shop", plain["shop"].dictionary_encode())] * 2)
    expected = encoder.transform(plain)
    np.testing.assert_array_equal(encoder.transform(coded), np.vstack([expected, expected]))
    np.testing.assert_array_equal(encoder.transform(plain.to_pandas()), expected)


def test_every_numeric_type_becomes_float64() -> None:
    frame = pa.table(
        {"flag": pa.array([True, None]), "count": pa.array([3, None], pa.int32()), "share": pa.array([0.5, None])}
    )
    matrix = FeatureEncoder([], ["flag", "count", "share"]).fit(frame).transform(frame)
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix, [[1, 3, 0.5], [np.nan] * 3])


def test_no_rows_give_an_empty_matrix() -> None:
    encoder = FeatureEncoder(["shop"], ["size"]).fit(table(["a"], [1]))
    assert encoder.transform(table([], [])).shape == (0, 2)


def test_a_selector_gives_the_declared_columns_as_a_frame() -> None:
    frame = FrameSelector(["size", "shop"]).fit(table(["a"], [1])).transform(table(["a"], [1]))
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"size": [1.0], "shop": ["a"]}))
