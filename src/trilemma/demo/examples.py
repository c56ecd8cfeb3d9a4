"""Where the examples lie: in a checkout, or where the wheel puts them, beside the environment.

The half of the demo without a gate is one of them, so that the package itself has no off switch.
"""

import sysconfig
from pathlib import Path

from trilemma.errors import SpecError

_MARK = Path("inbox", "gate_off.py")


def examples() -> Path:
    """The folder of examples.

    Raises:
        SpecError: this installation has none.
    """
    checkout = Path(__file__).resolve().parents[3] / "examples"
    installed = Path(sysconfig.get_path("data"), "share", "trilemma", "examples")
    for folder in (checkout, installed):
        if (folder / _MARK).is_file():
            return folder
    raise SpecError(
        f"the demo needs the examples, which are neither in {str(checkout)!r} nor in "
        f"{str(installed)!r}; install the wheel, or run it from a checkout"
    )
