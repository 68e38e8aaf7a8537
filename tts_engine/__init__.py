"""Text and context in, 24 kHz PCM out. The bot imports client, protocol, errors, settings, `urls`, `punctual_http` only."""
