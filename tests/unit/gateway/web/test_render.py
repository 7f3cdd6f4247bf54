import gettext

import pytest
from jinja2 import UndefinedError

from gateway.web import render
from gateway.web.render import Flash, Flashes


def test_a_name_that_a_page_lacks_is_an_error_and_never_an_empty_text():
    with pytest.raises(UndefinedError):
        render.environment().from_string("{{ nothing }}").render()


def test_text_is_escaped_inside_translated_sentences_too():
    made = render.environment().from_string('{{ _("Hello %(name)s", name=name) }}')
    assert made.render(name="<b>") == "Hello &lt;b&gt;"


def test_templates_speak_the_language_that_was_chosen_last(monkeypatch):
    made = render.environment().from_string('{{ _("Inbox") }}')
    assert made.render() == "Inbox"
    monkeypatch.setattr(render, "gettext", lambda text: {"Inbox": "Eingang"}.get(text, text))
    assert made.render() == "Eingang"
    assert gettext.gettext("Inbox") == "Inbox"


def test_a_static_file_changes_its_address_with_its_content():
    path = render.static_path("app.css")
    assert path == f"/static/app.css?v={render.static_files()['app.css'].version}"


def test_our_own_files_are_small():
    assert sum(len(file.body) for file in render.static_files().values()) < 40_000


def test_pending_messages_are_bounded_and_said_once():
    flashes = Flashes()
    for number in range(Flashes.MOST + 10):
        flashes.put(str(number), Flash("done", True))
    assert flashes.take("0") is None
    assert flashes.take("50") == Flash("done", True)
    assert flashes.take("50") is None
