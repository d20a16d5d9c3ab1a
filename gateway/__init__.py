"""Tier 1: takes pictures over HTTP, prepares them, asks the model server, and answers in JSON."""

VERSION = "0.1.0"
