-- Whether a list meets a voter who changed.
SELECT EXISTS (
    SELECT 1
    FROM members AS m
    JOIN changed AS c ON m.recipe = c.recipe AND m.hi = c.hi AND m.lo = c.lo
) AS touched
