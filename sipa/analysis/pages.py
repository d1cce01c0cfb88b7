"""Pages of one file, in one style: a template and its values, with the style sheet that every page begins with."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from sipa.analysis.style import DARK_PALETTE, PALETTE


def render(package: str, template: str, values: Mapping[str, Any]) -> str:
    """A page as HTML text; it names nothing outside of itself, so it needs no network.

    Args:
        package: whose folder `templates` holds the template, such as "sipa.analysis".
        template: file name.
        values: what the template names; text is escaped.
    """
    import jinja2

    def source(name: str) -> str | None:
        homes = (files(home).joinpath("templates", name) for home in (package, __package__))
        return next((home.read_text(encoding="utf-8") for home in homes if home.is_file()), None)

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    palettes = tuple(zip(PALETTE, DARK_PALETTE, strict=True))
    return environment.get_template(template).render(**values, palettes=palettes)
