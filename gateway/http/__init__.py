"""HTTP: routes, admission, responses, errors, logs, and the server that speaks it."""
