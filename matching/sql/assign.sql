-- One to one: a pair is kept when each is the other's best. A member whose two best voters score
-- the same is left alone (father and son of one name): a wrong person mailed is the harm.
CREATE TABLE links AS
WITH likely AS (
    -- Rounded, so that equal patterns tie on every machine.
    SELECT c.row, c.roll_row, round($bias + a.adds + d.adds, 9) AS score
    FROM compared AS c
    JOIN sums_agreed AS a ON a.bits = c.agreed
    JOIN sums_differed AS d ON d.bits = c.differed
    WHERE $bias + a.adds + d.adds >= $threshold
),
ranked AS (
    SELECT
        row,
        roll_row,
        score,
        row_number() OVER (PARTITION BY row ORDER BY score DESC, roll_row) AS mine,
        row_number() OVER (PARTITION BY roll_row ORDER BY score DESC, row) AS theirs,
        lead(score) OVER (PARTITION BY row ORDER BY score DESC, roll_row) AS second
    FROM likely
)
SELECT row, roll_row, score
FROM ranked
WHERE mine = 1 AND theirs = 1 AND (second IS NULL OR score > second)
ORDER BY row
