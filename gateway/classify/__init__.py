"""Encoded images to classifications."""
