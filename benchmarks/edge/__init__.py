"""What clients of the real world do to the gateway, measured: ``python -m benchmarks.edge --help``.

The gateway and its model server are processes of their own, and so are the clients that mean harm. The polite
clients' view counts: how many of their requests get a response, which one, and when.
"""
