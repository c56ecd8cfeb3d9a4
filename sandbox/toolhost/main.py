"""Entry point of a container: ``python3 -I -S -B /opt/trilemma/toolhost/main.py``."""

import importlib
import os
import sys

if __name__ == "__main__":
    # -I and -S leave nothing on the path but the standard library.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.exit(importlib.import_module("toolhost.host").main(sys.argv[1:]))
