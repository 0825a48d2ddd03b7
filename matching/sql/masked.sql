-- A roll's tokens with `has` alone, for one that does not say it: how many voters share a token is
-- asked of members only.
CREATE TABLE counted AS
WITH masks AS (
    SELECT row, bit_or(CAST(1 AS INTEGER) << CAST(recipe AS INTEGER)) AS has
    FROM tokens
    GROUP BY row
)
SELECT t.row, t.recipe, t.hi, t.lo, m.has
FROM tokens AS t
JOIN masks AS m ON m.row = t.row
