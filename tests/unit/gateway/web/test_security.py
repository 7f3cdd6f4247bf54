import ipaddress
import logging
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import structlog

from gateway.web import render
from gateway.web.app import create_app
from gateway.web.security import FORM_BYTES_MAX, POLICY, host_of, may_call

POSTS = [
    "/orders/X/approve", "/orders/X/deny", "/orders/X/cancel", "/orders/X/received", "/orders/X/answer",
    "/audit/verify", "/enter/reading", "/enter/fitted", "/enter/stock", "/sign-out",
    "/machines/mill/bearing/symptom", "/machines/mill/bearing/symptom/over",
]  # fmt: skip


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "", "evil.example:80"])
async def test_a_name_that_the_site_did_not_give_gets_nothing(stranger, host):
    page = await stranger.get("/sign-in", Host=host)
    assert page.status in (400, 421)
    assert "toolcrib sign-in" not in page.text


@pytest.mark.parametrize(
    ("header", "name"),
    [("127.0.0.1:8080", "127.0.0.1"), ("LOCALHOST", "localhost"), ("[::1]:8080", "::1"), ("a.b:1", "a.b"), ("", "")],
)
def test_a_host_header_is_read_without_its_port(header, name):
    assert host_of(header) == name


async def test_who_has_not_signed_in_sees_nothing(stranger):
    for path in ("/", "/machines", "/orders", "/audit", "/enter", "/orders/X", "/machines/mill"):
        page = await stranger.get(path)
        assert page.path == "/sign-in", path
        assert "CNC mill" not in page.text
    assert (await stranger.get("/events")).status == 401


@pytest.mark.parametrize("path", POSTS)
async def test_who_has_not_signed_in_changes_nothing(stranger, path):
    assert (await stranger.post(path)).status == 401


@pytest.mark.parametrize("path", POSTS)
async def test_a_form_without_the_sessions_token_changes_nothing(bare, stranger, path):
    await stranger.sign_in(bare)
    for token in ("", "0" * 64):
        page = await stranger.post(path, form_token=token)
        assert page.status == 403, page.text
        assert "Nothing was changed" in page.text
    assert bare.actions.entered == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {},
    ],
)
async def test_a_form_from_elsewhere_changes_nothing(bare, stranger, headers):
    await stranger.sign_in(bare)
    page = await stranger.post("/enter/stock", headers=headers, item="coolant-5l", quantity="3")
    assert page.status == 403
    assert bare.actions.entered == []


async def test_an_old_browser_that_sends_no_origin_may_say_same_origin(bare, stranger):
    await stranger.sign_in(bare)
    await stranger.post("/enter/stock", headers={"Sec-Fetch-Site": "same-origin"}, item="coolant-5l", quantity="3")
    assert bare.actions.entered == [("stock", "coolant-5l", "3", "anna", "web")]


async def test_only_a_form_is_taken(bare, stranger):
    await stranger.sign_in(bare)
    async with stranger.session.post(
        stranger.address + "/enter/stock", json={"item": "coolant-5l"}, headers={"Origin": stranger.address}
    ) as reply:
        assert reply.status == 415


async def test_a_form_larger_than_any_of_ours_is_refused(bare, stranger):
    await stranger.sign_in(bare)
    page = await stranger.post("/enter/stock", note="x" * (FORM_BYTES_MAX + 1))
    assert page.status == 413


@pytest.mark.parametrize("path", ["/orders/X/approve", "/orders/X/deny", "/orders/X/cancel", "/audit/verify"])
async def test_get_never_decides(bare, stranger, path):
    await stranger.sign_in(bare)
    page = await stranger.get(path)
    assert page.status == 405
    assert page.headers["Allow"] == "POST"


async def test_every_route_that_changes_something_is_a_post(bare):
    acting = {route.resource.canonical for route in create_app(bare.context).router.routes() if route.method == "POST"}
    looking = {
        route.resource.canonical
        for route in create_app(bare.context).router.routes()
        if route.method == "GET" and re.search("approve|deny|cancel|verify|sign-out", route.resource.canonical)
    }
    assert looking == set()
    assert len(acting) == 20


async def test_every_answer_carries_the_strict_headers(bare, stranger):
    await stranger.sign_in(bare)
    for path in ("/", "/sign-in", "/nothing", "/healthz", f"/static/app.css?v={'0' * 16}", "/orders/X/approve"):
        headers = (await stranger.get(path)).headers
        assert headers["Content-Security-Policy"] == POLICY, path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in headers
    assert (await stranger.get("/")).headers["Cache-Control"] == "no-store"


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere():
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert "*" not in POLICY
    for needed in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert needed in POLICY


@pytest.mark.parametrize("path", sorted((render.HERE / "templates").iterdir()), ids=lambda path: path.name)
def test_no_template_holds_an_inline_script_a_style_a_foreign_address_or_unescaped_text(path: Path):
    text = path.read_text()
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:|<script(?![^>]*src=)", text)
    assert not re.search(r"(src|href|action)=\"(https?:)?//", text)
    assert "|safe" not in text
    assert "autoescape" not in text


@pytest.mark.parametrize("path", sorted((render.HERE / "static").iterdir()), ids=lambda path: path.name)
def test_our_own_files_ask_nobody_else(path: Path):
    text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(|innerHTML|eval\(|document\.write", text)


async def test_behind_tls_the_cookie_is_bound_to_the_host_and_the_browser_is_told_to_stay(bare):
    bare.context = replace(bare.context, secure=True, public_origin="https://crib.example")
    async with bare.served() as address, aiohttp.ClientSession() as session:
        link = address + await bare.link()
        for origin, status in ((address, 403), ("https://crib.example", 303)):
            sent = session.post(link, headers={"Origin": origin}, data={"form_token": ""}, allow_redirects=False)
            async with sent as reply:
                assert reply.status == status
        assert reply.headers["Strict-Transport-Security"]
        cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith("__Host-toolcrib=")
    for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie


async def test_the_cookie_cannot_be_read_by_scripts_or_sent_from_elsewhere(bare, stranger):
    page = await stranger.post(await bare.link(), follow=False)
    assert page.status == 303
    assert "HttpOnly" in page.headers["Set-Cookie"]
    assert "SameSite=Strict" in page.headers["Set-Cookie"]


async def test_a_session_that_ended_is_sent_to_the_sign_in_page(bare, stranger):
    await stranger.sign_in(bare)
    bare.wall.now += timedelta(hours=3)
    assert (await stranger.get("/")).path == "/sign-in"


async def test_who_left_the_config_is_out(bare, stranger):
    await stranger.sign_in(bare, "jonas")
    link = await bare.link("jonas")
    bare.context.people.pop("jonas")
    assert (await stranger.get("/")).path == "/sign-in"
    assert (await stranger.post(link)).status == 410


async def test_no_secret_is_logged(bare, stranger, caplog):
    caplog.set_level(logging.DEBUG, logger="aiohttp")
    with structlog.testing.capture_logs() as entries:
        link = await bare.link()
        await stranger.get(link)
        await stranger.post(link)
        await stranger.get(link)
        await stranger.get("/")
    cookie = next(iter(stranger.session.cookie_jar)).value
    secret = link.rpartition("/")[2]
    said = repr(entries) + caplog.text
    assert entries == [{"event": "signed in", "person": "anna", "log_level": "info"}]
    assert secret not in said
    assert cookie not in said


@pytest.mark.parametrize(
    ("remote", "may"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.2.0.1", False),
        (None, False),
    ],
)
def test_in_the_clear_only_this_computer_and_trusted_proxies_may_ask(remote, may):
    assert may_call(remote, (ipaddress.ip_network("10.1.0.0/16"),)) is may
    assert may_call(remote, ())
