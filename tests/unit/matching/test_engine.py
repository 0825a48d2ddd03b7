"""Pepper, link and choose, over small artefacts."""

import hmac
from pathlib import Path

import duckdb
import pytest

from matching import bundle, coarsen, engine, quality, score, training
from matching.errors import DefinitionRefused, WeightsRefused
from matching.recipes import RECIPES, token_inputs

KEY, PEPPER = b"k" * 32, b"p" * 32


def _artefact(tmp_path: Path, name: str, triples: list[tuple[int, int, bytes]]) -> Path:
    bundle.write_outputs(tmp_path / "plain", triples)
    out = tmp_path / name
    engine.pepper_outputs(tmp_path / "plain", out, pepper=PEPPER, epoch="2026", key=KEY)
    return out


def _output(*what: object) -> bytes:
    return repr(what).encode().ljust(64, b".")


def test_a_store_token_is_the_specs_hmac() -> None:
    output = bytes(64)
    said = b"\x00\x13consortium/store/v1" + b"\x00\x042026" + b"\x00\x01\x03" + output
    kept = hmac.digest(PEPPER, said, "sha256")[:16]
    hi, lo = engine.store_token(PEPPER, "2026", 3, output)
    assert hi.to_bytes(8, "big", signed=True) + lo.to_bytes(8, "big", signed=True) == kept


def test_the_artefact_is_the_same_bytes_again_and_shows_no_output(tmp_path: Path) -> None:
    triples = [(0, 0, _output("a")), (0, 255, _output("mail"))]
    one, two = _artefact(tmp_path, "one", triples), _artefact(tmp_path, "two", triples)
    assert one.read_bytes() == two.read_bytes()
    assert _output("a")[:16] not in one.read_bytes()
    assert set(engine.address_tokens(one, KEY)) == {0}
    assert len(engine.address_tokens(one, KEY)[0]) == 16


def test_links_are_one_to_one_and_a_tie_is_nobody(tmp_path: Path) -> None:
    every = range(len(RECIPES))
    roll = [(100 + v, r, _output(v, r)) for v in range(3) for r in every]
    members = [(0, r, _output(0, r)) for r in every]  # all of voter 0
    members += [(1, r, _output(0, r) if r < 8 else _output("?", r)) for r in every]  # less of 0
    members += [(2, r, _output(1 if r < len(RECIPES) // 2 else 2, r)) for r in every]
    out = tmp_path / "links"
    weights = score.Weights(0.0, (1.0,) * len(RECIPES), (-0.1,) * len(RECIPES), 1.0)
    engine.link(
        _artefact(tmp_path, "m", members), _artefact(tmp_path, "r", roll), out, key=KEY,
        weights=weights,
    )  # fmt: skip
    assert [row[:2] for row in duckdb.read_parquet(str(out)).fetchall()] == [(0, 100)]


def test_weights_of_other_recipes_are_refused() -> None:
    mine = score.load()
    assert score.Weights.from_json(mine.to_json()) == mine
    assert len(score.digest(mine)) == 64
    for wrong in ("{}", "[]", mine.to_json().replace('"recipes": "', '"recipes": "0')):
        with pytest.raises(WeightsRefused):
            score.Weights.from_json(wrong)


def test_training_tells_agreement_from_disagreement() -> None:
    weights = score.train({(1, 0): (90, 10), (1, 2): (5, 95), (3, 0): (99, 1)})
    assert weights.score(3, 0) > weights.score(1, 0) > 0 > weights.score(1, 2)


HOUSE_44 = ("Congressional 6", "State Senate 30", "State House 44")
HOUSE_45 = ("Congressional 6", "State Senate 31", "State House 45")
ROWS = [
    (1, "6304418001", *HOUSE_44, "80202", "18-34", "0", 1),
    (2, "6304418001", *HOUSE_44, "80203", "65+", "3-4", 1),
    (3, "6304518002", *HOUSE_45, "80203", "65+", "", 2),
]  # fmt: skip


@pytest.fixture
def attributes(tmp_path: Path) -> Path:
    base = duckdb.connect()
    base.execute(
        "CREATE TABLE a (row_id BIGINT, precinct VARCHAR, congressional VARCHAR, senate VARCHAR,"
        " house VARCHAR, zip VARCHAR, age_band VARCHAR, votes VARCHAR, household BIGINT)"
    )
    base.executemany("INSERT INTO a VALUES (?,?,?,?,?,?,?,?,?)", ROWS)
    base.table("a").write_parquet(str(tmp_path / "attributes"))
    base.close()
    return tmp_path / "attributes"


@pytest.mark.parametrize(
    ("definition", "voters"),
    [
        ({"places": {"district": ["State House 44"]}}, {1, 2}),
        ({"places": {"district": ["Congressional 6"]}}, {1, 2, 3}),
        ({"places": {"district": ["State Senate 31"], "zip": ["80202"]}}, {1, 3}),
        ({"places": {"precinct": ["6304518002"]}}, {3}),
        ({"places": {"zip": ["80203"]}, "age": ["65+"]}, {2, 3}),
        ({"places": {"zip": ["80203"]}, "votes": ["0", "1-2", "3-4"]}, {2}),
        ({"places": {"zip": ["' OR 1=1 --"]}}, set()),
    ],
)
def test_a_definition_selects_by_union_of_places(
    tmp_path: Path, attributes: Path, definition: dict[str, object], voters: set[int]
) -> None:
    bundle.write_links(tmp_path / "a", [(7, 1, 1.0), (8, 2, 1.0), (9, 3, 1.0)])
    bundle.write_links(tmp_path / "b", [(4, 2, 1.0)])
    sources = [engine.Source("b", "p2", tmp_path / "b"), engine.Source("a", "p1", tmp_path / "a")]
    found = engine.audience(definition, attributes, sources)
    assert {each.roll_row for each in found} == voters
    assert found == sorted(found)
    assert engine.count_people(definition, attributes, sources) == len(voters)
    assert engine.count_people(definition, attributes, []) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"places": {}}, {"places": {"zip": []}}, {"places": {"zip": "80202"}},
        {"places": {"city": ["x"]}}, {"places": {"zip": ["80202"]}, "party": ["DEM"]},
        {"places": {"zip": ["80202"]}, "age": []}, {"places": {"zip": [7]}},
    ],
)  # fmt: skip
def test_what_is_no_normal_form_is_refused(attributes: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(DefinitionRefused):
        engine.audience(wrong, attributes, [])


def test_places_count_the_roll(attributes: Path) -> None:
    found = engine.places(attributes)
    assert found["district"] == {
        "Congressional 6": 3, "State Senate 30": 2, "State Senate 31": 1, "State House 44": 2,
        "State House 45": 1,
    }  # fmt: skip
    assert found["precinct"] == {"6304418001": 2, "6304518002": 1}


def test_county_and_local_districts_are_districts_too(tmp_path: Path, attributes: Path) -> None:
    newer = tmp_path / "newer"
    with duckdb.connect() as base:
        base.execute("CREATE TABLE a AS SELECT * FROM read_parquet(?)", [str(attributes)])
        base.execute("ALTER TABLE a ADD COLUMN local VARCHAR DEFAULT 'Douglas County'")
        base.execute("UPDATE a SET local = 'Douglas County|School Board 3' WHERE row_id = 2")
        base.execute("UPDATE a SET local = '' WHERE row_id = 3")
        base.table("a").write_parquet(str(newer))
    found = engine.places(newer)["district"]
    assert (found["Douglas County"], found["School Board 3"], "" in found) == (2, 1, False)
    links = tmp_path / "links"
    bundle.write_links(links, [(7, 1, 1.0), (8, 2, 1.0), (9, 3, 1.0)])
    for codes, voters in ((["School Board 3"], 1), (["Douglas County"], 2), (["School"], 0)):
        asked = {"places": {"district": codes}}
        assert engine.count_people(asked, newer, [engine.Source("a", "p", links)]) == voters
    # A slice of an earlier version has none, and says so by having none.
    asked = {"places": {"district": ["Douglas County"]}}
    assert engine.count_people(asked, attributes, [engine.Source("a", "p", links)]) == 0


def test_small_towns_are_linked_precisely() -> None:
    right = linked = true = 0
    for seed in (9, 11, 12):
        town = training.sample(seed, voters=2000, members=500)
        voters = [record for _, record in town.voters()]
        links = quality.reference_links(dict(town.members()), voters)
        assert len(set(links.values())) == len(links)
        right += sum(town.truth.get(row) == voter for row, voter in links.items())
        linked, true = linked + len(links), true + len(town.truth)
    assert right / linked >= 0.98
    assert right / true >= 0.93


def test_decoys_in_sql_are_the_stewards_decoys() -> None:
    town = training.sample(9, voters=900, members=200)
    outputs = {
        at: [None if one is None else one.ljust(64, b".") for one in token_inputs(record)]
        for at, record in town.voters()
    }
    real = coarsen.decoys(outputs, steward_key=KEY)
    with quality.tables(town.members(), town.voters()) as base:
        quality.hide(base)
        found = base.execute("SELECT row, recipe, lo = -1 - recipe FROM roll").fetchall()
    assert len(found) == sum(one is not None for row in real.values() for one in row)
    for row, recipe, decoy in found:
        assert decoy == (real[row][recipe] != outputs[row][recipe])
    assert any(decoy for _, _, decoy in found)
