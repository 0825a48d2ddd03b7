"""A policy counts keys, not names, and is met by exactly the groups it defines."""

import pytest

from provenance.errors import PolicyRefused
from provenance.note import COSIGNATURE, ED25519, Signer
from provenance.quorum import Policy
from tests.fakes.actors import LOG, POLICY, WITNESSES

KEYS = [one.verifier.public for one in WITNESSES]
V = [one.verifier.vkey for one in WITNESSES]
INVITE = {
    "origin": LOG.verifier.name,
    "log_vkey": LOG.verifier.vkey,
    "witnesses": [{"name": "Some One", "vkey": vkey, "url": "http://w/"} for vkey in V],
    "quorum": 2,
}


def test_a_quorum_of_an_invitation() -> None:
    policy = Policy.from_invite(INVITE)
    assert policy.quorum == 2
    assert policy.satisfied_by(set(KEYS[:2]))
    assert not policy.satisfied_by({KEYS[0], bytes(32)})
    assert Policy.from_text(policy.to_text()) == policy


@pytest.mark.parametrize(
    "change",
    [
        {"quorum": 4},
        {"quorum": -1},
        {"quorum": "2"},
        {"quorum": True},
        {"origin": "log.example/other"},
        {"log_vkey": "x"},
        {"witnesses": [{"vkey": V[0]}, {"vkey": V[0]}]},
        {"witnesses": [{}]},
        {"witnesses": [{"vkey": LOG.verifier.vkey}]},
    ],
    ids=str,
)
def test_an_invitation_that_cannot_be_meant_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(PolicyRefused):
        Policy.from_invite({**INVITE, **change})


NESTED = f"""# any member of the small group, and two of three in all
log {LOG.verifier.vkey}\thttp://log.example/

witness a {V[0]}
witness b   {V[1]} http://b.example/
witness c {V[2]}
group small any a b
group all-of all small c
quorum all-of
"""


def test_groups_may_hold_groups() -> None:
    policy = Policy.from_text(NESTED)
    assert policy.quorum == 2
    assert [one.url for one in policy.witnesses] == [None, "http://b.example/", None]
    for keys, enough in (
        ({0, 2}, True),
        ({1, 2}, True),
        ({0, 1}, False),
        ({2}, False),
        ({0, 1, 2}, True),
    ):
        assert policy.satisfied_by({KEYS[n] for n in keys}) is enough


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("quorum all-of\n", ""),
        ("quorum all-of", "quorum nobody"),
        ("group small any a b", "group small any a d"),
        ("group small any a b", "group small 3 a b"),
        ("group small any a b", "group small 0 a b"),
        ("group small any a b", "group small 01 a b"),
        ("group small any a b", "group small any a a"),
        ("group small any a b", "group small any"),
        ("group all-of all small c", "group all-of all small a"),
        ("group small any a b", "group a any a b"),
        ("group small any a b", "group none any a b"),
        (f"witness c {V[2]}", f"witness c {V[0]}"),
        ("witness c", "watcher c"),
        (f"log {LOG.verifier.vkey}\thttp://log.example/\n", ""),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(old: str, new: str) -> None:
    assert old in NESTED
    with pytest.raises(PolicyRefused):
        Policy.from_text(NESTED.replace(old, new))


def test_one_key_under_two_names_counts_once() -> None:
    twin = Signer.from_seed("witness.example/twin", bytes([1]) * 32, COSIGNATURE)
    with pytest.raises(PolicyRefused, match="twice"):
        Policy.of(LOG.verifier, [WITNESSES[0].verifier, twin.verifier], 2)


def test_a_policy_may_name_many_logs_witnesses_and_groups() -> None:
    def vkey(name: str, number: int, kind: int) -> str:
        return Signer.from_seed(name, number.to_bytes(32, "big"), kind).verifier.vkey

    lines = [f"log {vkey(f'log{n}', n, ED25519)}" for n in range(32)]
    lines += [f"witness w{n} {vkey(f'w{n}', 100 + n, COSIGNATURE)}" for n in range(32)]
    lines += ["group g0 any w0 w1"]
    lines += [f"group g{n} all g{n - 1} w{n + 1}" for n in range(1, 31)]
    lines += ["group g31 1 g30", "quorum g31"]
    policy = Policy.from_text("\n".join(lines))
    assert (len(policy.logs), len(policy.witnesses), len(policy.groups)) == (32, 32, 32)
    assert policy.quorum == 31
    assert Policy.from_text(policy.to_text()) == policy


def test_no_quorum_is_said_as_none() -> None:
    text = Policy.of(LOG.verifier, [WITNESSES[0].verifier], 0).to_text()
    assert text.endswith("quorum none\n")
    assert Policy.from_text(text).quorum == 0
    assert POLICY.quorum == 2
