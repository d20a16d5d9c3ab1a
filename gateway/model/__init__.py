"""The model server: calls, their responses, and the connection."""
