"""What is kept of the responses: a journal while a run goes on, tables and overlays at its end."""
