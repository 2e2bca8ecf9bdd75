"""Feeds: real data brought to landing files, as it would have become known.

What belongs here: what a source holds, when each of its rows became known, and how files reach the landing folder. What
does not: cleaning, casting, joining; dbt does that with what has landed. The rest of `ml_assets` does not know that
feeds exist.
"""
