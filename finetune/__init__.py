"""From recordings to a checkpoint that tts_engine serves. Imports tts_engine.model and bot.language."""
