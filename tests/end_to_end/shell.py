"""Commands as somebody types them who has only this installation on the path.

Here: starting a shell. Not here: what is typed; the tests say that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def typed(text: str, folder: Path, **environment: str) -> str:
    """What a shell says that is opened in a folder and told all this; it must not fail."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PERENNIAL_", "DAGSTER_", "DBT_"))
    }
    kept |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        **environment,
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def lines_of(*blocks: str) -> list[str]:
    """What was typed, line by line: commands and edits alike."""
    return [line for block in blocks for line in block.splitlines() if line.strip()]
