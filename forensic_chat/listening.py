"""Where the servers listen."""

import socket


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket whose connections send each piece at once. Raises OSError, OverflowError.

    asyncio switches Nagle's algorithm off only for sockets that name their protocol, which those of `create_server` do
    not: the first piece of an answer then waited some 40 ms, until the client had acknowledged the headers.
    """
    listening = socket.create_server((host, port))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
