"""A way to a server on which an answer can be lost: what was asked is done all the same."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Relay:
    """Listens on `port`, and passes everything on to the server's."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._losing: bytes | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_the_answer_to(self, words: bytes) -> None:
        """Once: the next question that holds these words reaches the server, and the connection
        ends before its answer."""
        self._losing = words

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                threading.Thread(target=self._ask, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        answering = threading.Event()
        answering.set()
        answers = threading.Thread(
            target=self._answer, args=(client, server, answering), daemon=True
        )
        answers.start()
        with suppress(OSError), client, server:
            while asked := client.recv(65_536):
                if self._losing is not None and self._losing in asked:
                    self._losing = None
                    answering.clear()
                server.sendall(asked)

    def _answer(
        self, client: socket.socket, server: socket.socket, answering: threading.Event
    ) -> None:
        with suppress(OSError):
            while answer := server.recv(65_536):
                if not answering.is_set():
                    break
                client.sendall(answer)
            client.shutdown(socket.SHUT_RDWR)
