"""Corpora as people have them, read row by row; a bad row is a rejection and the next one is read."""
