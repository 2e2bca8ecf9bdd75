"""A domain that nobody has seen: a library's loans, returns and books, as three CSV files of other people."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

BOOKS, LOANS = 40, 600


def write_library(folder: Path, seed: int = 7) -> list[Path]:
    """`loans.csv` (moments with a zone), `returns.csv` (a column called otherwise), `books.csv` (no time at all)."""
    chance = random.Random(seed)
    folder.mkdir(parents=True)
    books = [f'B{number:03},"Title, {number}",{chance.choice(["novel", "poems", "essays"])}' for number in range(BOOKS)]
    loans, returns = [], []
    moment = datetime(2024, 1, 1, 8)
    for number in range(LOANS):
        moment += timedelta(minutes=chance.randint(30, 400))
        reader, fee = chance.randint(1, 60), chance.randint(0, 400) / 100
        loans.append(f"{number},{reader},B{chance.randrange(BOOKS):03},{fee},{moment:%Y-%m-%dT%H:%M:%S}+01:00")
        back = moment + timedelta(days=chance.randint(1, 30))
        returns.append((back, f"{number},{'true' if chance.random() < 0.3 else 'false'},{back:%Y-%m-%d %H:%M:%S}"))
    files = {
        "books.csv": ["Book ID,Title,kind", *books],
        "loans.csv": ["Loan ID,reader,Book ID,fee,Lent At", *loans],
        "returns.csv": ["Loan ID,damaged,returned_at", *(line for _, line in sorted(returns))],
    }
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return [folder / name for name in files]
