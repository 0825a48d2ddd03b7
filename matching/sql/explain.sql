-- The voter that fits one row best, as `assign` ranks them: what stands second, and whether another
-- row of the list comes first with that voter. A voter who is hopeless is still the best of nobody.
WITH scored AS (
    SELECT
        c.row, c.roll_row, c.agreed, c.differed, round($bias + a.adds + d.adds, 9) AS score
    FROM compared AS c
    JOIN sums_agreed AS a ON a.bits = c.agreed
    JOIN sums_differed AS d ON d.bits = c.differed
),
ranked AS (
    SELECT
        row,
        agreed,
        differed,
        score,
        row_number() OVER (PARTITION BY row ORDER BY score DESC, roll_row) AS mine,
        row_number() OVER (PARTITION BY roll_row ORDER BY score DESC, row) AS theirs,
        lead(score) OVER (PARTITION BY row ORDER BY score DESC, roll_row) AS second
    FROM scored
)
SELECT
    agreed,
    differed,
    score,
    CASE WHEN second >= least($threshold, -5) THEN second END AS second,
    theirs > 1 AS taken
FROM ranked
WHERE row = $row AND mine = 1
