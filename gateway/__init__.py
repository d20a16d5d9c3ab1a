"""Tier 1: takes images over HTTP, prepares them, calls the model server, and responds in JSON."""

NAME = "brain-tumor-gateway"
VERSION = "0.1.0"
