-- What each pair agrees and disagrees on. A recipe disagrees only where both sides have its token:
-- missing and different must look different to the scorer.
CREATE TABLE compared AS
WITH mine AS (
    SELECT row, bit_or(CAST(1 AS BIGINT) << CAST(recipe AS BIGINT)) AS has
    FROM members
    WHERE recipe <> 255
    GROUP BY row
),
theirs AS (
    SELECT row, bit_or(CAST(1 AS BIGINT) << CAST(recipe AS BIGINT)) AS has
    FROM roll
    WHERE row IN (SELECT roll_row FROM pairs)
    GROUP BY row
)
SELECT p.row, p.roll_row, p.agreed, (mine.has & theirs.has) & ~p.agreed AS differed
FROM pairs AS p
JOIN mine ON mine.row = p.row
JOIN theirs ON theirs.row = p.roll_row
