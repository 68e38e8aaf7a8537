"""What a call remembers: frozen turns and the Redis store that keeps them."""
