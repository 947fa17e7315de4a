-- A step that was held back begins, for a lease of $3 ms; see begin_step.
SELECT begin_step($1, $2, $3)
