"""The edge: an event loop that owns the clients' sockets, and the slots that their requests wait for."""
