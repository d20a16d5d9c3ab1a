"""Tier 1: takes images over HTTP, prepares them, asks the model server, and answers in JSON."""

VERSION = "0.1.0"
