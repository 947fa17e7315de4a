-- Claimed, and begun later; see hold_back_steps.
SELECT hold_back_steps($1, $2)
