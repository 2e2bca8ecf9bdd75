"""The command that serves the Dagster UI."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from dagster_defs.commands.app import app, console, settings_of_home
from dagster_defs.settings import PROJECT_ROOT


@app.command()
def up(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000) -> None:
    """Serve the Dagster UI on localhost, until Ctrl-C."""
    from dagster_defs.running import prepare_dagster_home

    settings = settings_of_home()
    prepare_dagster_home(settings)
    dagster = str(Path(sys.executable).parent / "dagster")
    console.print(f"Dagster UI: [bold]http://127.0.0.1:{port}[/]  (Ctrl-C ends it)")
    sys.stdout.flush()
    os.chdir(PROJECT_ROOT)
    os.execv(  # noqa: S606 the server takes this process's place
        dagster,
        [dagster, "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
    )
