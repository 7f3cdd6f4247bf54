"""A page by hand, and the picture of the README:

python -m tests.showcase serve                 a page on loopback, with a sign-in link
python -m tests.showcase picture docs/page.png [--dark] [--phone] [--width 320] [--full] [--path /machines]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.showcase.plant import plant

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
"""Headless, as root, and speaking to nobody but us."""


async def take_picture(arguments: argparse.Namespace, directory: Path) -> None:
    """Sign in with a real browser and keep what it shows."""
    from playwright.async_api import async_playwright

    width, height = (arguments.width, 780) if arguments.phone else (1280, arguments.height)
    async with plant(directory, empty=arguments.empty) as made, made.served() as address, async_playwright() as tool:
        browser = await tool.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if arguments.dark else "light",
            device_scale_factor=arguments.scale,
        )  # fmt: skip
        page.on("console", lambda message: print("console:", message.text))
        page.on("pageerror", lambda error: print("error:", error))
        await page.goto(address + await made.link())
        await page.click("button[type=submit]")
        path = arguments.path.format(**made.numbers)
        await page.goto(address + path)
        for opened in arguments.click:
            await page.click(opened)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            print(f"wider than the screen: {wide} > {width}")
        await page.screenshot(path=arguments.file, full_page=arguments.full)
        await browser.close()


async def serve_by_hand(directory: Path) -> None:
    """Serve until interrupted."""
    async with plant(directory) as made, made.served() as address:
        print(address + await made.link())
        await asyncio.Event().wait()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=["serve", "picture"])
    parser.add_argument("file", nargs="?", default="docs/page.png")
    parser.add_argument("--path", default="/machines")
    parser.add_argument("--height", type=int, default=860)
    parser.add_argument("--width", type=int, default=360)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--click", action="append", default=[])
    for flag in ("--dark", "--phone", "--full", "--empty"):
        parser.add_argument(flag, action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if arguments.act == "serve":
            asyncio.run(serve_by_hand(Path(directory)))
        else:
            asyncio.run(take_picture(arguments, Path(directory)))


if __name__ == "__main__":
    main()
