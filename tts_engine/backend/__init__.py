"""What makes the sound: espeak, torch, vllm. One protocol, chosen by settings."""
