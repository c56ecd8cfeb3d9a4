"""Delete a directory with all below it, however deep an agent nested it."""

import os
import subprocess
from pathlib import Path


def remove_tree(place: Path) -> str:
    """Delete it; why something is left, or nothing. Never raises."""
    # rm, since an agent may nest folders deeper than a path is long.
    command = ["rm", "-rf", "--one-file-system", "--", os.fspath(place)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines()[-1:] or ["unknown"])[0]
