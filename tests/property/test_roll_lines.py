"""Whatever one line of a voter file looks like, every other voter is read, and it is told."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as some

from matching.roll.layout import STATES
from matching.roll.reader import open_roll
from tests.fakes import rolls

_ROWS = {code: list(rolls.voters(code, 30)) for code in STATES}
_DAMAGE = some.text(alphabet="\"',|\t\r\n\x00 aÉ;", min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    code=some.sampled_from(STATES),
    hit=some.integers(5, 28),
    cuts=some.lists(some.tuples(some.integers(0, 10_000), _DAMAGE), min_size=1, max_size=4),
    drop=some.booleans(),
)
def test_a_damaged_line_costs_at_most_its_own_voter_and_is_told_or_read(
    code: str, hit: int, cuts: list[tuple[int, str]], drop: bool
) -> None:
    layout = rolls.newest(code)
    lines = [rolls.line(layout, row) for row in _ROWS[code]]
    for at, damage in cuts:
        here = at % len(lines[hit])
        lines[hit] = lines[hit][:here] + damage + lines[hit][here + drop :]
    if layout.header:
        lines.insert(0, rolls.joined(layout, rolls.columns(layout)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "voters.txt"
        path.write_bytes("\r\n".join([*lines, ""]).encode("latin-1"))
        roll = open_roll(path)
        read = [voter.voter_id for voter in roll.voters()]
    others = [rolls.voter_id(code, n) for n in range(1, 31) if n != hit + 1]
    assert set(others) <= set(read)
    own = rolls.voter_id(code, hit + 1) in read
    assert own or roll.quarantined or roll.left_out or len(read) > len(others)
    assert len(read) == len(set(read))
