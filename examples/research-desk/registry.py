"""A register of companies on this machine, so that the example needs no network.

python registry.py [PORT]
"""

import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PAGES = Path(__file__).resolve().parent / "registry"
HOST = "registry.example"


class Pages(SimpleHTTPRequestHandler):
    """The extracts, as they lie in the folder. Every request is printed."""

    def __init__(self, *request: Any) -> None:
        super().__init__(*request, directory=str(PAGES))

    def log_message(self, format: str, *values: Any) -> None:
        """On standard output, so that one sees what arrived."""
        print(self.headers["Host"], format % values, flush=True)


def main(port: str = "8000") -> None:
    """Serve until Ctrl-C. The first lines say what the operator has to allow."""
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Pages)
    at = server.server_port
    print(f"http://{HOST}:{at}", flush=True)
    print("# policy.yaml of the operator, for a registry on this machine:")
    print(f"version: 1\negress:\n  hosts: {{{HOST}: 127.0.0.1}}\n  private: ['127.0.0.1:{at}']")
    print("# what is asked:", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main(*sys.argv[1:2])
