-- Every token, of either roll, of the voters whose tokens are not the same in both. Two snapshots
-- of one steward have the same row for the same voter.
CREATE TABLE changed AS
WITH was AS (
    SELECT row, bit_xor(hash(recipe, hi, lo)) AS mark, count(*) AS tokens
    FROM before
    GROUP BY row
),
now AS (
    SELECT row, bit_xor(hash(recipe, hi, lo)) AS mark, count(*) AS tokens
    FROM after
    GROUP BY row
),
voters AS (
    SELECT coalesce(was.row, now.row) AS row
    FROM was
    FULL JOIN now ON was.row = now.row
    WHERE was.mark IS DISTINCT FROM now.mark OR was.tokens IS DISTINCT FROM now.tokens
)
SELECT DISTINCT recipe, hi, lo
FROM (SELECT * FROM before UNION ALL BY NAME SELECT * FROM after) AS both_rolls
SEMI JOIN voters ON voters.row = both_rolls.row
