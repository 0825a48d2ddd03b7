-- Members' rows and voters that share at least one token, and as bits the recipes that agree and
-- that differ. A recipe differs only where both sides have its token: missing and different must
-- look different to the scorer.
-- The roll's shared tokens are decoys, so each of its tokens stands alone and the join cannot grow
-- beyond the members' own tokens. A token that more than $cap members of one list share says
-- nothing.
CREATE TABLE compared AS
WITH met AS (
    SELECT
        m.row AS row,
        r.row AS roll_row,
        CAST(1 AS BIGINT) << CAST(m.recipe AS INTEGER) AS bit,
        CAST(m.has & r.has AS BIGINT) AS have
    FROM members_counted AS m
    JOIN roll_counted AS r ON m.recipe = r.recipe AND m.hi = r.hi AND m.lo = r.lo
    WHERE m.recipe <> 255 AND m.block <= $cap
)
SELECT row, roll_row, bit_or(bit) AS agreed, max(have) & ~bit_or(bit) AS differed
FROM met
GROUP BY row, roll_row
