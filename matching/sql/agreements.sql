-- Of each recipe, how many links of a list agree in it: both sides have its token, and the same.
SELECT m.recipe, count(*) AS links
FROM read_parquet($links) AS l
JOIN members AS m ON m.row = l.row AND m.recipe <> 255
JOIN roll AS r ON r.row = l.roll_row AND r.recipe = m.recipe AND r.hi = m.hi AND r.lo = m.lo
GROUP BY m.recipe
