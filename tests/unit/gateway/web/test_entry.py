from datetime import timedelta

from marketplace.audit.log import entries


async def test_a_link_shows_a_button_and_only_the_button_signs_in(bare, stranger):
    link = await bare.link()
    for _preview in range(3):
        page = await stranger.get(link)
        assert page.status == 200
        assert "Anna Weber" in page.text
        assert 'method="post"' in page.text
    assert (await stranger.get("/")).path == "/sign-in"
    await stranger.post(link)
    assert (await stranger.get("/")).path == "/"


async def test_a_link_works_once(bare, stranger):
    link = await bare.link()
    assert (await stranger.post(link)).path == "/"
    stranger.session.cookie_jar.clear()
    page = await stranger.post(link)
    assert page.status == 410
    assert "no longer works" in page.text
    assert (await stranger.get("/")).path == "/sign-in"


async def test_a_link_ends_after_ten_minutes(bare, stranger):
    link = await bare.link()
    bare.wall.now += timedelta(minutes=10)
    assert (await stranger.get(link)).status == 410
    assert (await stranger.post(link)).status == 410


async def test_a_link_signs_in_its_own_person_and_nobody_else(bare, stranger):
    link = await bare.link("jonas")
    await stranger.sign_in(bare, "anna")
    page = await stranger.post(link)
    assert "Jonas Brandt" in page.text
    assert "Anna Weber" not in page.text


async def test_a_made_up_link_is_refused(stranger):
    assert (await stranger.get("/sign-in/" + "A" * 43)).status == 410
    assert (await stranger.post("/sign-in/" + "A" * 43)).status == 410


async def test_signing_in_and_out_stands_in_the_audit(bare, stranger):
    await stranger.sign_in(bare)
    page = await stranger.post("/sign-out")
    assert page.path == "/sign-in"
    assert (await stranger.get("/")).path == "/sign-in"
    async with bare.spend.read() as tx:
        told = [(entry.kind, entry.subject, entry.actor.id, dict(entry.facts)) for entry in await entries(tx)]
    assert told == [("session.opened", "anna", "anna", {}), ("session.closed", "anna", "anna", {})]


async def test_signing_out_elsewhere_leaves_the_other_browser_signed_in(bare, stranger):
    await stranger.sign_in(bare)
    kept = {cookie.key: cookie.value for cookie in stranger.session.cookie_jar}
    await stranger.sign_in(bare)
    await stranger.post("/sign-out")
    stranger.session.cookie_jar.update_cookies(kept)
    assert (await stranger.get("/")).path == "/"
