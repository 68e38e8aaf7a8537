"""Text and context in, 24 kHz PCM out. The bot imports client, protocol and errors only."""
