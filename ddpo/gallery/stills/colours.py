"""The page's colours, as it has them in light."""

from __future__ import annotations

import re

from ddpo.gallery.kinds import Kind
from ddpo.gallery.page import style

VARIABLE = re.compile(r"--([\w-]+): light-dark\((#\w+),")


def light(kind: Kind) -> dict[str, str]:
    """The light colours by name, as the style sheet of the page defines them."""
    return dict(VARIABLE.findall(style(kind)))
