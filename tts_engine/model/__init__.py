"""CSM and Mimi, once: shared by every backend and by training."""
