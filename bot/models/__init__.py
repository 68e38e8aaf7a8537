"""Model files: where each comes from, its sha256 and licence, and how it is fetched."""
