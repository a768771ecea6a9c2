"""Measures of the collection: see __main__.py."""
