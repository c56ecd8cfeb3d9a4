"""Where the way out of a tunnel sandbox begins, and how ordinary clients are told of it."""

EGRESS_SOCKET = "/run/trilemma/egress.sock"
"""The egress proxy's socket, in the folder that the gateway shares."""

INSIDE_SOCKET = "\0trilemma-egress"
"""What leads to it where no folder is shared: an abstract name in the sandbox's own network."""

ADDRESS = ("127.0.0.1", 8118)
"""Where the relay listens inside; it leads to the proxy's socket."""

_URL = f"http://{ADDRESS[0]}:{ADDRESS[1]}"

ENVIRONMENT = {
    "HTTP_PROXY": _URL,
    "HTTPS_PROXY": _URL,
    "http_proxy": _URL,
    "https_proxy": _URL,
    "NO_PROXY": "",
    "no_proxy": "",
}
