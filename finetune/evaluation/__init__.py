"""What a checkpoint says and how well: the server's generation, measures, pages. Imports tts_engine.model."""
