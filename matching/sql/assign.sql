-- One to one: a pair is kept when each is the other's best. At most one voter is the member, so a
-- member's second best voter takes from the first what it is itself worth: log-odds of a against
-- b or nobody. Two that score the same (father and son of one name) leave the member alone: a wrong
-- person mailed is the harm.
CREATE TABLE links AS
WITH scored AS (
    -- Rounded, so that equal patterns tie on every machine. What is hopeless competes with nobody.
    SELECT c.row, c.roll_row, round($bias + a.adds + d.adds, 9) AS score
    FROM compared AS c
    JOIN sums_agreed AS a ON a.bits = c.agreed
    JOIN sums_differed AS d ON d.bits = c.differed
    WHERE $bias + a.adds + d.adds >= least($threshold, -5)
),
ranked AS (
    SELECT
        row,
        roll_row,
        score,
        row_number() OVER (PARTITION BY row ORDER BY score DESC, roll_row) AS mine,
        row_number() OVER (PARTITION BY roll_row ORDER BY score DESC, row) AS theirs,
        lead(score) OVER (PARTITION BY row ORDER BY score DESC, roll_row) AS second
    FROM scored
),
chosen AS (
    SELECT row, roll_row, round(score - ln(1 + exp(coalesce(second, -99))) + $lift, 6) AS score
    FROM ranked
    WHERE mine = 1 AND theirs = 1 AND (second IS NULL OR score > second)
)
SELECT row, roll_row, score
FROM chosen
WHERE score >= $threshold
ORDER BY row
