"""The first version of a project's own files, written from what there is: `perennial new`, `perennial remove-domain`.

What belongs here: looking at files and at dbt's manifest, and the YAML and SQL that follow from them, ready to edit.
What does not: any running; what was written is the project's own from then on.
"""
