"""Training a small codec of Mimi's architecture from nothing. `transformers` has it for inference only."""
