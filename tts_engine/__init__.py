"""Text and context in, 24 kHz PCM out. Of the server's inside (`server`, `engine`, `backend`, `model`) nobody knows."""
