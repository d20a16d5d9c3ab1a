"""HTTP: routes, responses, errors, and the access log."""
