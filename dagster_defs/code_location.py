"""What `dagster dev -w workspace.yaml` loads."""

from dagster_defs.definitions import build_definitions
from dagster_defs.settings import Settings

defs = build_definitions(Settings().prepared())
