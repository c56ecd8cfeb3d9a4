"""Entry point of a container, run by the Python that lies beside it: container.py says how."""

import importlib
import os
import sys

if __name__ == "__main__":
    # -I and -S leave nothing on the path but the standard library.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # Process 1 is the tool host, or what leads to it where it shares no socket with its gateway.
    first, arguments = "host", sys.argv[1:]
    if arguments[:1] == ["stdio"]:
        first, arguments = "stdio", arguments[1:]
    sys.exit(importlib.import_module(f"toolhost.{first}").main(arguments))
