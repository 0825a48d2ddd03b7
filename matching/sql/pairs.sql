-- Members' rows and voters that share at least one token, with the recipes that agree as bits.
-- A token that more than $cap members of one list share says nothing about a person: dropped here.
-- The roll needs no such cap: its shared tokens are decoys, so each of its tokens stands alone.
CREATE TABLE pairs AS
WITH rare AS (
    SELECT recipe, hi, lo
    FROM members
    WHERE recipe <> 255
    GROUP BY recipe, hi, lo
    HAVING count(*) <= $cap
)
SELECT
    m.row AS row,
    r.row AS roll_row,
    bit_or(CAST(1 AS BIGINT) << CAST(m.recipe AS BIGINT)) AS agreed
FROM members AS m
SEMI JOIN rare USING (recipe, hi, lo)
JOIN roll AS r ON m.recipe = r.recipe AND m.hi = r.hi AND m.lo = r.lo
GROUP BY m.row, r.row
