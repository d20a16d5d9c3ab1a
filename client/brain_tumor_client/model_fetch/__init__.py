"""Brings a model's version folder from an archive elsewhere to a model server: whole and checked, or not at all."""
