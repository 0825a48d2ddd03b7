"""A partner's yes to exactly these bytes: recomputed, held against the agreement, shown, signed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785

from consortium.cli.agreeing import Signed
from consortium.cli.api import Api, entry_json, same_leaf
from consortium.cli.drafts import drafted_once, keep_receipt
from consortium.cli.errors import CheckRefused
from consortium.cli.home import Home, Json
from consortium.cli.vault import write_whole
from mailer import arms
from mailer.written import signed
from policies.approvals import check_against, manifest_digest

DONE = {
    "approve": ("approve", "approved", "attest", "attested"),
    "attest": ("attest", "attested"),
}
"""Words by which the server says that a partner did this step already."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A campaign whose manifest was recomputed and checked against the signed agreement."""

    id: str
    state: str
    manifest: Json
    digest: str
    template: Json | None


def campaigns(api: Api) -> list[Json]:
    """Every campaign that the server shows this partner."""
    answer = api.get("/campaigns")
    if isinstance(answer, dict):
        answer = answer.get("campaigns")
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise CheckRefused("the server's list of campaigns is not a list")
    return answer


def mine(campaign: Mapping[str, Any], partner: str) -> str:
    """This partner's own state in a campaign, as the server tells it; empty when it tells none."""
    for one in campaign.get("approvals") or ():
        if isinstance(one, Mapping) and one.get("partner") == partner:
            return str(one.get("state") or "")
    return ""


def waiting_for(api: Api, step: str, states: tuple[str, ...]) -> list[Json]:
    """Campaigns that wait for this partner's ``step``; every party attests, sources approve."""
    me = api.home.id
    return [
        one
        for one in campaigns(api)
        if one.get("state") in states
        and (step == "attest" or me in ((one.get("manifest") or {}).get("sources") or ()))
        and mine(one, me) not in DONE[step]
    ]


def examine(campaign: Json, signed: Signed, home: Home, *, source: bool = True) -> Asked:
    """Check that a campaign is what its digest says, and that the signed agreement allows it.

    Args:
        source: whether this partner's own list must be used; its own sender is then checked too.

    Raises:
        ManifestRefused: malformed, or outside the agreement.
        CheckRefused: the digest is of other bytes, or the sender is not this partner's own.
    """
    manifest = campaign.get("manifest")
    if not isinstance(manifest, dict):
        raise CheckRefused("the campaign has no manifest yet: it is still a draft")
    check_against(manifest, signed.agreement, signed.digest)
    digest = manifest_digest(manifest)
    if campaign.get("digest") != digest:
        raise CheckRefused(
            "the digest shown is not the digest of the manifest shown; nothing signed"
        )
    if manifest["campaign"] != campaign.get("id"):
        raise CheckRefused("the manifest is of another campaign; nothing signed")
    if home.id in manifest["sources"]:
        _own_sender(manifest["sender"][home.id], signed.agreement.party(home.id).domain)
    elif source:
        raise CheckRefused("you are not a source of this campaign; there is nothing to sign")
    return Asked(
        campaign["id"], str(campaign.get("state")), manifest, digest, _template(campaign, manifest)
    )


def _own_sender(sender: Mapping[str, str], own: str) -> None:
    domain = sender["domain"].lower()
    if domain != own and not domain.endswith("." + own):
        raise CheckRefused(
            "your letters would come from a domain that is not yours; nothing signed"
        )
    address = sender["from"].strip().rstrip(">")
    if "@" in address:
        host = address.rpartition("@")[2].lower()
        if host != own and not host.endswith("." + own):
            raise CheckRefused(
                "your letters would name an address outside your domain; nothing signed"
            )


def _template(campaign: Json, manifest: Json) -> Json | None:
    shown = campaign.get("template")
    if not isinstance(shown, dict):
        return None
    template = signed(shown)
    if hashlib.sha256(rfc8785.dumps(template)).hexdigest() != manifest["template"]:
        raise CheckRefused("the letter shown is not the letter of the manifest; nothing signed")
    return template


def described(asked: Asked, home: Home) -> list[str]:
    """Say what a signature would cover: in words, then the exact bytes that are hashed."""
    m, places = asked.manifest, asked.manifest["definition"]["places"]
    where = "; ".join(f"{kind} {', '.join(codes)}" for kind, codes in sorted(places.items()))
    filters = [
        f"{word} {', '.join(m['definition'][word])}"
        for word in ("age", "votes", "primaries")
        if word in m["definition"]
    ]
    sender = m["sender"][home.id]
    lines = [
        f"Campaign {asked.id}",
        f"  Who      your members in {where}"
        + (f", only {' and '.join(filters)}" if filters else ""),
        f"  Lists    {', '.join(m['sources'])}",
        f"  From     {sender['from']} ({sender['domain']})",
        *_signed_by(m),
        f"  When     {m['window']['opens']} to {m['window']['closes']}",
        f"  Links    {', '.join(m['links']) or 'none'}",
        f"  Size     at most {m['size_class']:,} addresses may be opened",
    ]
    if asked.template is not None:
        lines += _letter(asked.template)
    else:
        lines.append(
            f"  Letter   SHA-256 {m['template']}; read it in the web app or with --preview"
        )
    return [
        *lines,
        "What is signed is the SHA-256 of exactly these bytes:",
        rfc8785.dumps(m).decode(),
        f"SHA-256 {asked.digest}",
    ]


def _letter(template: Json) -> list[str]:
    """Every arm of the letter in whole; who gets which is drawn."""
    ways, parts = arms.letters(template), " to ".join(map(str, arms.shares(template)))
    lines = []
    if len(ways) > 1:
        lines.append(f"  Arms     {len(ways)} letters, drawn {parts}; your yes is to all")
    for number, way in enumerate(ways, 1):
        which = f"arm {number}; " if len(ways) > 1 else ""
        lines += [
            f"  Subject  {way.get('subject', '')}",
            f"  Letter   ({which}its digest is in the manifest)",
            *(f"    {line}" for line in _words(way)),
        ]
    return lines


def _words(template: Json) -> list[str]:
    """Everything of a letter that is signed, but its subject: all blocks, all languages."""
    whole = str(template.get("text") or template.get("mjml") or "").splitlines()
    for name in ("blocks", "languages"):
        if template.get(name) is not None:
            whole += [f"{name}:", *json.dumps(template[name], indent=1).splitlines()]
    return whole


def _signed_by(manifest: Json) -> list[str]:
    """Everybody in whose name a letter may go."""
    who = manifest.get("messengers", [manifest["messenger"]])
    lines = [f"{one['name']}, {one['place']}" for one in who]
    if len(lines) == 1:
        return [f"  Signed   by {lines[0]}"]
    each = "  Signed   each by the nearest of these, who all confirmed it:"
    return [each, *(f"           {one}" for one in lines)]


def approval_file(home: Home, campaign: str, step: str) -> Path:
    """Where a yes is remembered."""
    return home.path / "approvals" / f"{campaign}.{step}.json"


def approve(api: Api, asked: Asked) -> str:
    """Sign and hand in the approval; returns the leaf in hex. The same again sends the same."""
    facts = {"kind": "approve", "campaign": asked.id, "digest": asked.digest}
    return hand_in(api, asked.id, "approve", facts, "approval", {"manifest": asked.manifest})


def hand_in(api: Api, campaign: str, step: str, facts: Json, path: str, more: Json) -> str:
    """Draft, keep and PUT a signed approval or attestation; returns the leaf in hex."""
    home = api.home
    file = approval_file(home, campaign, step)
    entry = file.with_suffix(".entry.json")
    drafted = drafted_once(home, entry, "approval", facts, api.clock)
    leaf = same_leaf(drafted, api.put(f"/campaigns/{campaign}/{path}", entry_json(drafted)))
    kept = {"facts": facts, "leaf": leaf, **more}
    write_whole(file, (json.dumps(kept, indent=1, sort_keys=True) + "\n").encode())
    return leaf


def logged(api: Api, campaign: str, step: str, leaf: str, timeout: float) -> None:
    """Wait until the log holds a yes, and keep its receipt."""
    evidence = api.wait_published(leaf, timeout)
    keep_receipt(
        approval_file(api.home, campaign, step).with_suffix(".receipt.json"), evidence, api
    )


def approved_digest(home: Home, campaign: str) -> str | None:
    """The digest to which this computer said yes, if it did."""
    file = approval_file(home, campaign, "approve")
    if not file.exists():
        return None
    return str(json.loads(file.read_bytes())["facts"]["digest"])
