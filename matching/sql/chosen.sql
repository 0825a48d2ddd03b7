-- The voters that an audience's definition selects. Places are a union; an absent filter is any.
-- An empty attribute was taken back for privacy: it is never equal to a wanted value. A slice of an
-- earlier version has no local districts, and says nothing of primaries.
CREATE TABLE chosen AS
SELECT row_id
FROM (
    SELECT NULL::VARCHAR AS local, NULL::VARCHAR AS primaries WHERE false
    UNION ALL BY NAME
    SELECT * FROM read_parquet($attributes)
)
WHERE
    (
        list_contains($precinct::VARCHAR[], precinct)
        OR list_contains($zip::VARCHAR[], zip)
        OR list_contains($district::VARCHAR[], congressional)
        OR list_contains($district::VARCHAR[], senate)
        OR list_contains($district::VARCHAR[], house)
        OR list_has_any($district::VARCHAR[], string_split(local, '|'))
    )
    AND ($age::VARCHAR[] IS NULL OR list_contains($age::VARCHAR[], age_band))
    AND ($votes::VARCHAR[] IS NULL OR list_contains($votes::VARCHAR[], votes))
    AND (
        $primaries::VARCHAR[] IS NULL
        OR list_contains($primaries::VARCHAR[], primaries)
    )
