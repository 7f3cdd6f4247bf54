"""How witnesses are reached, and how this computer is one: over HTTP as C2SP's tlog-witness says, or by a drop folder.

A drop folder needs no port: the gateway leaves what it would have sent, somebody carries the folder or shares it, and
`toolcrib audit witness --folder` on another computer leaves the answer beside it. Bodies are bounded, redirects are not
followed. What an answer means is for `marketplace.audit.attendance`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from marketplace.audit.attendance import WitnessAway
from marketplace.audit.note import Note, NoteBroken, VerifierKey, signatures, verify
from marketplace.audit.witness import REQUEST_MAX, Answer, Request, Witness, replace_durably

ADD_CHECKPOINT: Final = "/add-checkpoint"
_ANSWER_MAX: Final = 64_000
_TIMEOUT: Final = ClientTimeout(total=3)
"""A start waits for it; a witness that is slower is asked again a minute later."""
_REQUEST: Final = ".request"


class HttpWay:
    """A witness that listens: another process, or another gateway."""

    def __init__(self, key: VerifierKey, url: str, session: ClientSession) -> None:
        self.key = key
        self._url = url.rstrip("/") + ADD_CHECKPOINT
        self._session = session

    async def submit(self, request: str) -> Answer | None:
        """Post a request and return the answer. Raises `WitnessAway`."""
        try:
            async with self._session.post(
                self._url, data=request.encode(), timeout=_TIMEOUT, allow_redirects=False
            ) as reply:
                raw = await reply.content.read(_ANSWER_MAX)
                return Answer(reply.status, raw.decode(errors="replace"))
        except (ClientError, TimeoutError, OSError) as error:
            raise WitnessAway from error


class FolderWay:
    """A witness that looks into a folder now and then."""

    def __init__(self, key: VerifierKey, folder: Path, name: str) -> None:
        """`name` is the gateway's own part of the file names; several gateways may share a folder."""
        self.key = key
        self._request = folder / f"{name}{_REQUEST}"
        self._answer = folder / f"{name}.{key.id.hex()}"

    async def submit(self, request: str) -> Answer | None:
        """Leave a request and return the answer to it if there is one yet. Raises `WitnessAway`."""
        try:
            return await asyncio.to_thread(self._exchange, request)
        except OSError as error:
            raise WitnessAway from error

    def _exchange(self, request: str) -> Answer | None:
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError, NoteBroken):
            said = json.loads(self._answer.read_text(encoding="utf-8"))
            if said["request"] == request:
                return Answer(int(said["status"]), str(said["text"]))
            if said["status"] == 200 and (seen := self._contradicted(said, request)) is not None:
                return Answer(409, f"{seen}\n")
        if not self._request.exists() or self._request.read_text(encoding="utf-8") != request:
            replace_durably(self._request, request)
        return None

    def _contradicted(self, said: Mapping[str, Any], request: str) -> int | None:
        """Return the size of what the witness has signed, if that is no earlier state of what it is asked for now."""
        seen, asked = Request.parse(str(said["request"])).signed, Request.parse(request).signed.checkpoint
        verify(Note(seen.note.text, signatures(str(said["text"]))), [self.key])
        size, root = seen.checkpoint.size, seen.checkpoint.root
        if seen.checkpoint.origin != asked.origin:
            return None
        return size if size > asked.size or (size == asked.size and root != asked.root) else None


def look_into(folder: Path, witness: Witness, seconds: int) -> list[tuple[str, Answer]]:
    """Answer every request in a drop folder that was not signed yet; returns them by file name. Raises OSError.

    What was refused is considered again: the witness's owner may have accepted the log since.
    """
    answered = []
    for path in sorted(folder.glob(f"*{_REQUEST}")):
        request = path.read_bytes()[: REQUEST_MAX + 1].decode("utf-8", errors="replace")
        place = folder / f"{path.name.removesuffix(_REQUEST)}.{witness.public.id.hex()}"
        if _signed(place) != request:
            answer = witness.consider(request, seconds)
            said = {"request": request, "status": answer.status, "text": answer.text}
            replace_durably(place, json.dumps(said))
            answered.append((path.name, answer))
    return answered


def _signed(place: Path) -> str | None:
    """Return which request was signed in a folder."""
    try:
        said = json.loads(place.read_text(encoding="utf-8"))
        return str(said["request"]) if said["status"] == 200 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def application(witness: Witness, clock_seconds: Callable[[], int]) -> web.Application:
    """Return the web application of a witness. It needs no session: a checkpoint's signature is the authorisation."""

    async def add_checkpoint(request: web.Request) -> web.Response:
        text = (await request.read()).decode("utf-8", errors="replace")
        try:
            answer = await asyncio.to_thread(witness.consider, text, clock_seconds())
        except OSError:  # it could not be made durable, so it was not signed
            answer = Answer(503, "the witness cannot keep what it sees\n")
        return web.Response(status=answer.status, text=answer.text, content_type=answer.kind)

    app = web.Application(client_max_size=REQUEST_MAX)
    app.add_routes([web.post(ADD_CHECKPOINT, add_checkpoint)])
    return app


async def serve(witness: Witness, bind: str, port: int, clock_seconds: Callable[[], int]) -> web.AppRunner:
    """Listen as a witness; the caller cleans the runner up. Raises OSError when it cannot."""
    runner = web.AppRunner(application(witness, clock_seconds), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, bind, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
