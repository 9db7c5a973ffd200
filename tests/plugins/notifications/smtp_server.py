"""A mail server on loopback: as much of SMTP as a client needs to hand over a message, with faults."""

import asyncio
import ssl

from klepaas.testing.loopback import Listening

__all__ = ["SmtpServer"]


class SmtpServer(Listening):
    """The server.

    Args:
        context: For STARTTLS. None: it is not offered.

    Attributes:
        messages: Each message that was taken.
        logins: Each login, as it came.
        refuse: Answers by command instead of good ones: {"RCPT": "550 no such user"}.
        hang_at: The command that is never answered. None: all are.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.logins: list[str] = []
        self.refuse: dict[str, str] = {}
        self.hang_at: str | None = None
        self._context = context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _say(writer, "220 loopback")
        while line := (await reader.readline()).decode():
            verb = line.split()[0].upper()
            if verb == self.hang_at:
                await asyncio.Event().wait()
            elif verb in self.refuse:
                await _say(writer, self.refuse[verb])
            elif verb == "EHLO":
                more = ["STARTTLS"] if self._context else []
                words = ["loopback", *more, "AUTH PLAIN", "8BITMIME"]
                await _say(writer, "\r\n".join(f"250{' ' if word is words[-1] else '-'}{word}" for word in words))
            elif verb == "STARTTLS" and self._context:
                await _say(writer, "220 go on")
                await writer.start_tls(self._context)
            elif verb == "AUTH":
                self.logins.append(line)
                await _say(writer, "235 welcome")
            elif verb == "DATA":
                await _say(writer, "354 go on")
                self.messages.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                await _say(writer, "250 taken")
            else:
                await _say(writer, "221 bye" if verb == "QUIT" else "250 fine")


async def _say(writer: asyncio.StreamWriter, text: str) -> None:
    writer.write(text.encode() + b"\r\n")
    await writer.drain()
