"""Text and context in, 24 kHz PCM out. The bot imports client, protocol, errors, settings and `punctual_http` only."""
