"""Pages from Jinja templates, all by the same rules."""

import pathlib
from collections.abc import Callable
from typing import Any


def template(path: pathlib.Path, **filters: Callable[..., Any]) -> Any:
    """A template, with filters of its own: that of an .html.j2 file escapes what it is given, and no name may lack.

    The extra `experiments` brings Jinja.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        autoescape=path.name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        lstrip_blocks=True,
        trim_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(path.name)
