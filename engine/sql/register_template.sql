-- Stores a template by the hash of its content, if it isn't there yet; see register_template.
SELECT register_template($1, $2, $3, $4, $5, $6)
