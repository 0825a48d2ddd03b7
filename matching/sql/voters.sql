-- How many voters a roll has: each has one token of the first recipe that it has any of.
SELECT count(*) AS voters
FROM roll_counted
WHERE (has & ((CAST(1 AS INTEGER) << CAST(recipe AS INTEGER)) - 1)) = 0
