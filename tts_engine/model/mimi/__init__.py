"""Mimi, streamed: codes to 24 kHz sound a frame at a time for many slots at once, and sound to codes."""
