"""Ways to the internet."""

import socket


def unix_socket(argument: str) -> None:
    socket.socket(socket.AF_UNIX).close()


def ipv4_socket(argument: str) -> None:
    socket.socket(socket.AF_INET).close()


def ipv6_socket(argument: str) -> None:
    socket.socket(socket.AF_INET6).close()


def udp_socket(argument: str) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


def raw_socket(argument: str) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()


def packet_socket(argument: str) -> None:
    socket.socket(17, socket.SOCK_RAW).close()


def netlink_socket(argument: str) -> None:
    socket.socket(16, socket.SOCK_RAW).close()


def vsock_socket(argument: str) -> None:
    socket.socket(40, socket.SOCK_STREAM).close()


def alg_socket(argument: str) -> None:
    socket.socket(38, socket.SOCK_SEQPACKET).close()


def xdp_socket(argument: str) -> None:
    socket.socket(44, socket.SOCK_RAW).close()


def datagram_pair(argument: str) -> None:
    for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM):
        end.close()


def listen(argument: str) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()


def resolve(argument: str) -> None:
    """Ask the name server at ``host:port``; a container's own resolver would be such a one."""
    host, _, port = argument.rpartition(":")
    question = b"\0\7\1\0\0\1\0\0\0\0\0\0\6canary\7example\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        asking.connect((host, int(port)))
        asking.send(question)
        asking.recv(512)


def connect(argument: str) -> None:
    """Bring the canary to a server: ``host:port``."""
    host, _, port = argument.rpartition(":")
    with socket.create_connection((host, int(port)), 3) as out:
        out.sendall(b"canary")


def connect_planted(argument: str) -> None:
    """Bring the canary through a unix socket that lies in a mounted folder."""
    with socket.socket(socket.AF_UNIX) as out:
        out.connect(argument)
        out.sendall(b"canary")


def connect_abstract(argument: str) -> None:
    """The same through a name that lies in no folder."""
    connect_planted(f"\0{argument}")


def send_planted(argument: str) -> None:
    """The same with a datagram, through a pair that is pointed elsewhere."""
    out, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    out.connect(argument)
    out.send(b"canary")
