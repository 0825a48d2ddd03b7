"""Laws of letters: readers cannot be told apart by them, and no header can be broken."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.addresses import envelope, mailbox
from mailer.compose import Template, compile_template
from mailer.errors import MailerError, TemplateRefused
from mailer.fields import FIELDS, Field
from mailer.letter import prepare
from mailer.seal import SEALED_BYTES, Payload, seal
from mailer.stops import delivery_id, parse_verp, verp_address
from mailer.unseal import unseal
from tests.fakes.letters import AT, COMMON, KEY, SENDER, SOME, compiled, recipient

NAMES = st.text(st.characters(categories=["Lu", "Ll", "Lo", "Mn", "Nd"]), max_size=30)
TOKEN = re.compile(r"[\w-]{22}(?=[@?\s\">)]|$)", re.MULTILINE)


def bodies(letter: bytes) -> tuple[str, str]:
    message = email.message_from_bytes(letter, policy=default)
    assert isinstance(message, EmailMessage)
    found = []
    for kind in ("plain", "html"):
        body = message.get_body((kind,))
        assert body is not None
        found.append(str(body.get_content()))
    return found[0], found[1]


@pytest.mark.parametrize("name", SOME)
def test_a_hundred_readers_get_one_body_but_for_their_fields_and_keyed_links(name: str) -> None:
    template = compiled(name)
    slice_ = prepare(template, sender=SENDER, common=COMMON, campaign="spring", at=AT)
    personal = sorted(template.fields - COMMON.keys() - {"stop_url", "why_url"})
    seen = set()
    for number in range(100):
        # Each field text is its own name and a number, so that it can be found and replaced.
        facts = {field: f"{field}{number}" for field in personal}
        plain, markup = bodies(slice_.write(recipient(number, **facts)))
        for field, text in facts.items():
            plain, markup = plain.replace(text, field), markup.replace(text, field)
        seen.add((TOKEN.sub("T", plain), TOKEN.sub("T", markup)))
    assert len(seen) == 1


def test_only_the_reader_and_keyed_tokens_differ_between_headers() -> None:
    slice_ = prepare(compiled(), sender=SENDER, common=COMMON, campaign="spring", at=AT)
    seen = set()
    for number in range(100):
        head = slice_.write(recipient(number)).partition(b"\r\n\r\n")[0].decode()
        head = re.sub(r"reader\d+", "reader", head)
        head = re.sub(r"<[a-z2-7]{42}@", "<id@", head)
        seen.add(TOKEN.sub("T", head))
    assert len(seen) == 1


@given(messenger=st.text(max_size=90), subject=st.text(max_size=200))
def test_whatever_is_typed_a_letter_has_its_headers_or_is_refused(
    messenger: str, subject: str
) -> None:
    try:
        letter = prepare(
            replace(compiled(), subject=subject),
            sender=replace(SENDER, messenger=messenger),
            common=COMMON,
            campaign="spring",
            at=AT,
        ).write(recipient(1))
    except MailerError:
        return
    message = email.message_from_bytes(letter, policy=default)
    assert len(message.keys()) == 13
    assert message["To"] == "reader1@example.net"
    assert max(map(len, letter.split(b"\r\n"))) <= 998


@given(address=st.text(max_size=80))
def test_an_envelope_address_is_one_word(address: str) -> None:
    try:
        made = envelope(address)
    except MailerError:
        return
    assert re.fullmatch(r"[!-~]+@[a-z0-9.-]+", made)
    assert not set(made) & set('<>,;:"()[]\\')


@given(address=st.text(max_size=80))
def test_a_readers_address_breaks_out_of_no_command_and_no_header(address: str) -> None:
    try:
        made = mailbox(address)
    except MailerError:
        return
    local, _, domain = made.rpartition("@")
    assert re.fullmatch(r"[a-z0-9.-]+", domain)
    assert local.isprintable()
    assert not set(local) & set('<>,;:"()[]\\@ ')
    assert len(local.encode()) <= 64


@given(first=NAMES, other=st.text(max_size=60))
def test_a_fact_never_becomes_markup(first: str, other: str) -> None:
    slice_ = prepare(compiled("vote-plan"), sender=SENDER, common=COMMON, campaign="s", at=AT)
    plainest = bodies(slice_.write(recipient(1)))[1]
    markup = bodies(slice_.write(recipient(1, first_name=first, polling_place=other)))[1]
    assert re.findall(r"<[^>]*>", markup) == re.findall(r"<[^>]*>", plainest)


TAGS = st.sampled_from(
    ["mj-text", "mj-section", "mj-column", "mj-raw", "mj-include", "a", "img", "script", "p", "b"]
)
ATTRIBUTES = st.sampled_from(
    [
        *("href='https://example.org/'", "href='//evil.example'", "src='x'", "onload='x'", ""),
        *("style='color:#111'", "style='background:url(x)'", "color='#111'", "css-class='x'"),
    ]
)
WORDS = st.sampled_from(["hi", "{{ first_name | you }}", "{{ x }}", "{%", "<", ">", "&lt;", '"'])


@st.composite
def markup(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(WORDS)
    tag, attribute = draw(TAGS), draw(ATTRIBUTES)
    inside = "".join(draw(st.lists(markup(depth - 1), max_size=3)))
    return f"<{tag} {attribute}>{inside}{draw(st.sampled_from([f'</{tag}>', '']))}"


@settings(max_examples=150)
@given(inside=st.one_of(markup(), st.text(max_size=60)))
def test_no_template_that_compiles_fetches_or_runs_anything(inside: str) -> None:
    column = "<mjml><mj-body><mj-section><mj-column>{}</mj-column></mj-section></mj-body></mjml>"
    for source in (column.format(inside), column.format(f"<mj-text>{inside}</mj-text>")):
        try:
            made = compile_template(
                Template("x", source), allowed_fields=FIELDS, allowed_hosts={"example.org"}
            )
        except TemplateRefused:
            continue
        page = "".join(p if isinstance(p, str) else "F" for p in made.html)
        assert not re.search(r"<(?:script|img|iframe|link)\b|<[^>]*\s(?:src|on\w+)=", page)
        assert set(re.findall(r'href="(https:[^"]*)"', page)) <= {"https://example.org/"}
        assert {p.name for p in made.html if isinstance(p, Field)} <= made.fields


@given(
    email_=st.emails().filter(lambda a: len(a.encode()) <= 254),
    first=NAMES,
    keys=st.lists(st.binary(min_size=32, max_size=32), min_size=4, max_size=4),
)
def test_every_row_opens_and_is_one_length(email_: str, first: str, keys: list[bytes]) -> None:
    dek, shared, tag, lock = keys
    if not any(shared) or len(first.encode()) > 96:
        return
    row = {"dek": dek, "shared": shared, "bundle": bytes(16), "tag": tag, "lock": lock}
    sealed = seal(Payload(email_, first, "en"), **row)
    assert len(sealed) == SEALED_BYTES
    assert unseal(sealed, **row) == Payload(email_, first, "en")


@given(lock=st.binary(min_size=32, max_size=32))
def test_every_return_path_comes_back(lock: bytes) -> None:
    delivery = delivery_id(KEY, "spring", lock)
    assert parse_verp(KEY, verp_address(KEY, delivery, "mail.example.org")) == delivery
