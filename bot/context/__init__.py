"""What a call remembers: frozen turns, the Redis store that keeps them, and its command."""
