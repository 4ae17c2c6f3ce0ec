"""What the server of `tests.support.processes` imports once, with shapes checked at run time."""

from jaxtyping import install_import_hook

install_import_hook(["ddpo", "rewards"], "beartype.beartype")

import ddpo.__main__  # noqa: E402, F401
import ddpo.training  # noqa: E402, F401
