"""One WebSocket connection in the hands of a case: it sends whatever it is told, right or wrong, and notes what returns."""

import asyncio
import base64
import hashlib
import os
import struct
import types

from cases import WebSocketProtocol as Names

# How long the server has to answer a close, and then to drop the TCP connection.
CLOSE_PATIENCE = 1.0
HANDSHAKE_KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def masked(key, data):
    """`data` under the mask `key`, as one long number because a loop over bytes would be slow."""
    if not data:
        return b""
    pad = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")


def header(opcode, length, fin, rsv, key):
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if length < 126:
        return struct.pack("!BB", first, 0x80 | length) + key
    if length < 1 << 16:
        return struct.pack("!BBH", first, 0x80 | 126, length) + key
    return struct.pack("!BBQ", first, 0x80 | 127, length) + key


class WrongServer(Exception):
    """The server has sent something that no WebSocket server may send."""


class Fuzzer(Names):
    """What the cases call `p`: the names are those of the library that they were written for."""

    def __init__(self):
        self.factory = types.SimpleNamespace(isServer=False)
        self.state = self.STATE_CONNECTING
        self.connectionWasOpen = False
        self.closedByMe = self.failedByMe = self.droppedByMe = self.wasClean = False
        self.remoteCloseCode = self.localCloseReason = None
        self.autoFragmentSize = 0
        self.txFrameStats = {}
        self._parts, self._kind = [], None

    # What cases do.

    def sendFrame(self, opcode, payload="", fin=True, rsv=0, payload_len=None, chopsize=None, sync=False, **_ignored):
        data = payload.encode("latin-1")
        if payload_len is not None:
            data = (data * (payload_len // len(data) + 1))[:payload_len] if payload_len else b""
        key = os.urandom(4)
        self.txFrameStats[opcode] = self.txFrameStats.get(opcode, 0) + 1
        self._write(header(opcode, len(data), fin, rsv, key) + masked(key, data), chopsize)

    def sendMessage(self, payload, isBinary=False, fragmentSize=None, **_ignored):
        size = fragmentSize or self.autoFragmentSize or max(len(payload), 1)
        opcode = BINARY if isBinary else TEXT
        for start in range(0, max(len(payload), 1), size):
            self.sendFrame(opcode, payload[start : start + size], fin=start + size >= len(payload))
            opcode = CONTINUATION

    def beginMessage(self, isBinary=False, **_ignored):
        self._streamed = BINARY if isBinary else TEXT

    def beginMessageFrame(self, length):
        self._key, self._sent = os.urandom(4), 0
        self._write(header(self._streamed, length, False, 0, self._key))
        self._streamed = CONTINUATION

    def sendMessageFrameData(self, payload, **_ignored):
        turn = self._sent % 4
        self._write(masked(self._key[turn:] + self._key[:turn], payload.encode("latin-1")))
        self._sent += len(payload)

    def endMessage(self):
        self.sendFrame(CONTINUATION)

    def sendCloseFrame(self, code=None, reasonUtf8="", isReply=False):
        if self.state != self.STATE_OPEN:
            return
        payload = "" if code is None else struct.pack("!H", code).decode("latin-1")
        self.localCloseReason = reasonUtf8
        self.sendFrame(CLOSE, payload + (reasonUtf8 or ""))
        self.state, self.closedByMe = self.STATE_CLOSING, not isReply
        self._later(CLOSE_PATIENCE, self._drop_unless_closed)

    def sendClose(self, code=None, reason=""):
        self.sendCloseFrame(code, reason)

    def continueLater(self, delay, step, _tag=None):
        self._later(delay, step)

    def closeAfter(self, delay):
        self._later(delay, self.sendClose)

    def killAfter(self, delay):
        self._later(delay, self._kill)

    def enableWirelog(self, _enable):
        """There is no wire log."""

    # How it is done.

    def _write(self, data, chopsize=None):
        for start in range(0, len(data), chopsize or len(data)):
            self._writer.write(data[start : start + (chopsize or len(data))])

    def _later(self, delay, step):
        def run():
            if self.state != self.STATE_CLOSED:
                step()

        asyncio.get_running_loop().call_later(delay, run)

    def _kill(self):
        self.failedByMe = True
        self._drop()

    def _drop_unless_closed(self):
        # The wait for the answer is over; a server that has answered gets the same time to drop the connection.
        if self.remoteCloseCode is None and not self.wasClean:
            self._drop()

    def _drop(self):
        self.wasClean, self.droppedByMe = False, True
        self._writer.transport.abort()

    async def run(self, case, host, port, path, headers):
        """Drives one case from the handshake to the end of the TCP connection."""
        reader, self._writer = await asyncio.open_connection(host, port)
        try:
            await self._shake_hands(reader, host, port, path, headers)
            self.state, self.connectionWasOpen = self.STATE_OPEN, True
            case.onOpen()
            while True:
                await self._read_frame(reader, case)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.state = self.STATE_CLOSED
            self._writer.transport.abort()
        case.onConnectionLost(self.failedByMe)

    async def _shake_hands(self, reader, host, port, path, headers):
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            *headers,
        ]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        status, *answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        if " 101 " not in f"{status} ":
            raise WrongServer(f"the handshake was answered {status}")
        accept = base64.b64encode(hashlib.sha1((key + HANDSHAKE_KEY).encode()).digest()).decode()
        if f"sec-websocket-accept: {accept}".lower() not in [line.lower() for line in answer]:
            raise WrongServer("the handshake has a wrong Sec-WebSocket-Accept")

    async def _read_frame(self, reader, case):
        first, second = await reader.readexactly(2)
        fin, opcode, length = first >> 7, first & 15, second & 127
        if first & 0x70 or second & 0x80 or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise WrongServer(f"the server sent a frame that begins with {first:02x} {second:02x}")
        if opcode >= CLOSE and (length > 125 or not fin):
            raise WrongServer("the server sent a control frame that is too long or in fragments")
        if length == 126:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await reader.readexactly(8))
        self._hear(case, fin, opcode, await reader.readexactly(length))

    def _hear(self, case, fin, opcode, data):
        if opcode == CLOSE:
            self._hear_close(data)
        elif opcode == PING:
            self.sendFrame(PONG, data.decode("latin-1"))
        elif opcode == PONG:
            case.onPong(data.decode("latin-1"))
        else:
            if (opcode == CONTINUATION) != (self._kind is not None):
                raise WrongServer("the server mixed the fragments of its messages up")
            self._kind = self._kind or opcode
            self._parts.append(data)
            if fin:
                whole, binary = b"".join(self._parts), self._kind == BINARY
                self._parts, self._kind = [], None
                if not binary:
                    whole.decode("utf-8")
                case.onMessage(whole.decode("latin-1"), binary)

    def _hear_close(self, data):
        if len(data) == 1:
            raise WrongServer("the server sent a close frame of one byte")
        self.remoteCloseCode = struct.unpack("!H", data[:2])[0] if data else None
        self.wasClean = True
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(self.remoteCloseCode, isReply=True)
        self._later(CLOSE_PATIENCE, self._drop)
