-- Members' rows and voters that share at least one token, with the recipes that agree as bits.
-- The roll's shared tokens are decoys, so each of its tokens stands alone and the join cannot grow
-- beyond the members' own tokens. A voter whom more than $cap members of one list meet by one
-- recipe is met by chance: those meetings are dropped.
CREATE TABLE pairs AS
WITH met AS MATERIALIZED (
    SELECT m.row AS row, r.row AS roll_row, m.recipe AS recipe
    FROM members AS m
    JOIN roll AS r ON m.recipe = r.recipe AND m.hi = r.hi AND m.lo = r.lo
    WHERE m.recipe <> 255
),
crowded AS (
    SELECT roll_row, recipe
    FROM met
    GROUP BY roll_row, recipe
    HAVING count(*) > $cap
)
SELECT
    row,
    roll_row,
    bit_or(CAST(1 AS BIGINT) << CAST(recipe AS BIGINT)) AS agreed
FROM met
ANTI JOIN crowded USING (roll_row, recipe)
GROUP BY row, roll_row
