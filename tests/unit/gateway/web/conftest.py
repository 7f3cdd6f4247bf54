"""The showcase plant, served on loopback, and somebody who visits its pages without JavaScript."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.showcase.plant import Plant, plant


@dataclass
class Page:
    """What a visitor got."""

    status: int
    text: str
    headers: dict[str, str]
    path: str

    @property
    def form_token(self) -> str:
        """The token in the page's forms."""
        return re.findall(r'name="form_token" value="([0-9a-f]{64})"', self.text)[0]


@dataclass
class Visitor:
    """One browser: cookies, redirects, and the headers that browsers send."""

    address: str
    session: aiohttp.ClientSession
    token: str = field(default="", repr=False)

    async def get(self, path: str, *, follow: bool = True, **headers: str) -> Page:
        return await self._ask("GET", path, follow=follow, headers=headers)

    async def post(self, path: str, *, follow: bool = True, headers: dict[str, str] | None = None, **form: str) -> Page:
        said = {"Origin": self.address} if headers is None else headers
        return await self._ask("POST", path, follow=follow, headers=said, data={"form_token": self.token} | form)

    async def _ask(self, method: str, path: str, *, follow: bool, **said) -> Page:
        async with self.session.request(method, self.address + path, allow_redirects=follow, **said) as reply:
            return Page(reply.status, await reply.text(), dict(reply.headers), reply.url.path)

    async def sign_in(self, made: Plant, person: str = "anna") -> Page:
        page = await self.post(await made.link(person))
        self.token = page.form_token
        return page


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plant's history is kept between tests."""
    return tmp_path_factory.mktemp("lived")


@pytest.fixture
async def made(tmp_path: Path, lived: Path) -> AsyncIterator[Plant]:
    """A plant with history."""
    async with plant(tmp_path, template=lived) as built:
        yield built


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Plant]:
    """A plant on its first day."""
    async with plant(tmp_path, empty=True) as built:
        yield built


async def _visiting(built: Plant) -> AsyncIterator[Visitor]:
    jar = aiohttp.CookieJar(unsafe=True)  # loopback is an address, not a name
    async with built.served() as address, aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Visitor(address, session)


@pytest.fixture
async def stranger(bare: Plant) -> AsyncIterator[Visitor]:
    """Somebody at the bare plant who has not signed in."""
    async for visitor in _visiting(bare):
        yield visitor


@pytest.fixture
async def anna(made: Plant) -> AsyncIterator[Visitor]:
    """Anna, signed in at the plant with history."""
    async for visitor in _visiting(made):
        await visitor.sign_in(made)
        yield visitor
