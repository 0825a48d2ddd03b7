"""Everything SQL, and the artefact store. Rows stay in here; frozen values come out."""
