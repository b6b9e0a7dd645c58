"""The framing of the Debug Adapter Protocol: headers, an empty line, JSON.

https://microsoft.github.io/debug-adapter-protocol/overview
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

MESSAGE_LIMIT_BYTES = 16 << 20
HEADER_LIMIT_BYTES = 4096


class Transport:
    """Both directions. What can't be read is passed over, and said once to `complain`."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO, complain: Callable[[str], None]) -> None:
        self._reader, self._writer, self._complain = reader, writer, complain
        self._lock = threading.Lock()
        self._sequence = 0
        self._complained = False

    def read(self) -> dict[str, Any] | None:
        """The next message that is an object; None at the end of the input."""
        while (body := self._body()) is not None:
            try:
                message = json.loads(body)
            except (ValueError, RecursionError):
                message = None
            if isinstance(message, dict):
                return message
            self._nonsense("a message that is no JSON object")
        return None

    def _body(self) -> bytes | None:
        length = -1
        while line := self._reader.readline(HEADER_LIMIT_BYTES):
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                digits = value.strip()
                length = int(digits) if digits.isdigit() and len(digits) < 12 else -1
            elif line.strip() == b"" and length >= 0:
                return self._taken(length)
            elif line.strip() and b":" not in line:
                self._nonsense("a line that is no header")
        return None

    def _taken(self, length: int) -> bytes:
        if length <= MESSAGE_LIMIT_BYTES:
            return self._reader.read(length)
        self._nonsense(f"a message of {length} bytes")
        while length > 0 and (part := self._reader.read(min(length, 1 << 16))):
            length -= len(part)
        return b"null"

    def _nonsense(self, what: str) -> None:
        if not self._complained:
            self._complained = True
            self._complain(f"the client sent {what}: passed over, as all that can't be read")

    def send(self, message: dict[str, Any]) -> None:
        """Sends one; to a client that is gone nothing is sent."""
        with self._lock:
            self._sequence += 1
            body = json.dumps({"seq": self._sequence, **message}).encode()
            try:
                self._writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                self._writer.flush()
            except (OSError, ValueError):
                return
