"""Pixels and PNG files, for images and for the pictures of an embedding's points."""
