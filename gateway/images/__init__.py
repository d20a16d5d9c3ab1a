"""The encoded images of a request: in its body, or behind the URL that it gives."""
