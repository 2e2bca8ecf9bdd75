"""What is to be written, before it is written: nothing is overwritten by surprise.

What belongs here: plans of files, and the templates. What does not: what is in a file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from ml_assets.errors import PerennialError

# The files are dbt's templates themselves: here, other brackets.
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    variable_start_string="<<",
    variable_end_string=">>",
    block_start_string="<%",
    block_end_string="%>",
    comment_start_string="<#",
    comment_end_string="#>",
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
    autoescape=False,  # noqa: S701 YAML and SQL; names are checked
)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass
class Plan:
    """Files below one folder: new ones, and such that get a line more."""

    root: Path
    new: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, path: str, template: str, **values: Any) -> None:
        self.new[path] = _TEMPLATES.get_template(template).render(**values)

    def add_if_absent(self, path: str, template: str, **values: Any) -> None:
        if path not in self.new and not (self.root / path).exists():
            self.add(path, template, **values)

    def list_ref(self, path: str, model: str) -> None:
        """Names a model in the list of one of the domain's own tables, last."""
        text = self.new.get(path) or self.changed.get(path) or (self.root / path).read_text()
        call = f"ref('{model}')"
        if call in text:
            return
        found = re.search(r"\(\[(.*?)(\s*)\]\)", text, re.DOTALL)
        if found is None:
            raise PerennialError(f"{self.root / path} holds no list of refs; add {call} to it by hand")
        listed = [*re.findall(r"ref\('\w+'\)", found[1]), call]
        refs = "".join(f"\n    {one}," for one in listed)
        text = f"{text[: found.start()]}([{refs}\n]){text[found.end() :]}"
        (self.new if path in self.new else self.changed)[path] = text

    def write(self, force: bool) -> None:
        """Writes all of it or, where a file would be overwritten, nothing.

        Raises:
            PerennialError: naming the files that are there already, unless `force`.
        """
        there = [path for path in self.new if (self.root / path).exists()]
        if there and not force:
            raise PerennialError(
                f"already there: {', '.join(there)} (in {self.root}); --force overwrites them, nothing was written"
            )
        for path, text in {**self.new, **self.changed}.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            aside = target.with_name(f".{target.name}.part")
            aside.write_text(text)
            os.replace(aside, target)


def name_of(text: str, what: str) -> str:
    """The text, if dbt and SQL take it as a name.

    Raises:
        PerennialError: if they do not.
    """
    if not _NAME.fullmatch(text):
        raise PerennialError(f"{what} {text!r}: a name is small letters, digits and _, and begins with a letter")
    return text


def as_name(text: str) -> str:
    """The nearest name.

    >>> as_name("Order ID"), as_name("2024 sales")
    ('order_id', 'n_2024_sales')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text.strip())
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return name if name[:1].isalpha() else f"n_{name}".rstrip("_")
