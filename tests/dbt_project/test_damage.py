"""A warehouse file that opens though its blocks are damaged: the build that meets the damage ends in a sentence with the remedy, what was published stands, and the remedy gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from dbt.adapters.exceptions import FailedToConnectError
from dbt_common.exceptions import DbtBaseException
from dbt_homes import Home, copy_landing, landing_files

pytestmark = pytest.mark.slow

HEADER_BYTES = 3 * 4096
BLOCK_BYTES = 256 * 1024


def blocks_of(home: Home, table: str) -> list[int]:
    """Where a table's rows lie in the file."""
    with duckdb.connect(str(home.path / "warehouse.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute(
            f"select distinct block_id from pragma_storage_info('{table}') where persistent and block_id >= 0"
        )
        return sorted(block for (block,) in found.fetchall())


def flip_bytes(home: Home, blocks: list[int]) -> None:
    file = home.path / "warehouse.duckdb"
    content = bytearray(file.read_bytes())
    for block in blocks:
        start = HEADER_BYTES + block * BLOCK_BYTES
        for place in range(start + 1000, start + BLOCK_BYTES, 5000):
            content[place] ^= 0x55
    file.write_bytes(content)


def said_of(home: Home) -> DbtBaseException:
    with pytest.raises(DbtBaseException) as raised:
        home.build()
    return raised.value


@pytest.mark.parametrize("table", ["base_nycflights__weather", "trn_late_arrival"])
def test_a_build_that_meets_damage_says_what_to_do_and_that_gives_the_same_bytes(
    home: Home, feed: Path, copy_home: Callable[[Home], Home], table: str
) -> None:
    sound = copy_home(home)
    for one in (home, sound):
        copy_landing(feed, one, landing_files(feed))
    blocks = blocks_of(home, table)
    assert blocks
    flip_bytes(home, blocks)
    duckdb.connect(str(home.path / "warehouse.duckdb")).close()  # it opens
    published = home.published()

    said = str(said_of(home))

    file = home.path / "warehouse.duckdb"
    assert "the warehouse is damaged" in said
    assert f"move {file} aside and build again" in said
    assert "Traceback" not in said
    assert home.published() == published

    file.rename(home.path / "aside.duckdb")
    for one in (home, sound):
        build = one.build()
        assert build, build.failures()
    assert home.published() == sound.published()
    assert home.published() != published


def test_damage_in_the_bookkeeping_is_found_before_anything_is_built(home: Home) -> None:
    published = home.published()
    flip_bytes(home, blocks_of(home, "perennial_published"))

    said = said_of(home)

    assert isinstance(said, FailedToConnectError)
    assert "the warehouse is damaged" in str(said)
    assert home.published() == published
