"""The servers the tests run on are real, of this run's own, and answer."""

import re
import smtplib
import socket

import psycopg
import pytest
import redis
from pytest_socket import SocketConnectBlockedError

from tests.servers import Postfix, Postgres, wait_until


def test_postgres_answers_in_a_database_of_this_test_alone(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        connection.execute("create table mine (n int)")


def test_the_next_test_finds_an_empty_database(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("select to_regclass('mine')").fetchone()
    assert found == (None,)


def test_a_database_can_be_copied_from_a_template(postgres_server: Postgres) -> None:
    template = postgres_server.create()
    with psycopg.connect(postgres_server.url(template)) as connection:
        connection.execute("create table kept (n int)")
    copy = postgres_server.create(template)
    with psycopg.connect(postgres_server.url(copy)) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)
    postgres_server.drop(copy)
    postgres_server.drop(template)


def test_redis_answers_and_is_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()
        assert client.dbsize() == 0


def test_postfix_takes_a_letter_and_logs_its_sender_before_it_delivers(postfix: Postfix) -> None:
    """Not before its answer: the queue manager's line may come a moment after the 250."""
    with smtplib.SMTP("127.0.0.1", postfix.port) as client:
        client.sendmail("verp-1@unions.test", ["maria@mail.test"], b"Subject: hello\r\n\r\nhi\r\n")
    # Others' letters may still be on their way, so this one's lines and file are looked for. The
    # log is written by a process of its own, in the order in which it was told.
    line = re.compile(r"to=<maria@mail\.test>.*status=sent")
    wait_until(
        lambda: line.search(postfix.log.read_text()) is not None, "the letter's line", postfix.log
    )
    assert "from=<verp-1@unions.test>" in line.split(postfix.log.read_text())[0]
    assert sum(b"Subject: hello" in letter for letter in postfix.letters()) == 1


def test_postfix_refuses_who_is_gone(postfix: Postfix) -> None:
    with (
        smtplib.SMTP("127.0.0.1", postfix.port) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused) as refused,
    ):
        client.sendmail("verp-2@unions.test", ["gone@mail.test"], b"Subject: hello\r\n\r\nhi\r\n")
    assert refused.value.recipients["gone@mail.test"][0] == 550


def test_chromium_is_there(chromium_path: str) -> None:
    assert chromium_path.startswith("/")


def test_no_test_can_reach_beyond_this_machine() -> None:
    # Blocked with a warning first, and warnings are errors here.
    blocked = (SocketConnectBlockedError, UserWarning)
    with socket.socket() as outward, pytest.raises(blocked, match=r"192\.0\.2\.1"):
        outward.connect(("192.0.2.1", 443))
