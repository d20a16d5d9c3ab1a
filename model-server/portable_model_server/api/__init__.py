"""What callers reach: gRPC, REST and the metrics page."""
