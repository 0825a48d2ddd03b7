-- Each token with two facts: `has`, the recipes of which its row has tokens, as bits; and `block`,
-- how many rows of the file share it. Where an artefact says both, nothing is counted when it meets
-- another one.
CREATE TABLE counted AS
WITH masks AS (
    SELECT row, bit_or(CAST(1 AS INTEGER) << CAST(recipe AS INTEGER)) AS has
    FROM tokens
    WHERE recipe <> 255
    GROUP BY row
),
blocks AS (
    SELECT recipe, hi, lo, count(*) AS block
    FROM tokens
    GROUP BY recipe, hi, lo
    HAVING count(*) > 1
)
SELECT
    t.row,
    t.recipe,
    t.hi,
    t.lo,
    CAST(coalesce(m.has, 0) AS INTEGER) AS has,
    CAST(coalesce(b.block, 1) AS INTEGER) AS block
FROM tokens AS t
LEFT JOIN masks AS m ON m.row = t.row
LEFT JOIN blocks AS b ON b.recipe = t.recipe AND b.hi = t.hi AND b.lo = t.lo
