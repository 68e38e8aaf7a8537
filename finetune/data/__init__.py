"""From recordings to clips of codes. Imports bot.language and, for the codes, tts_engine.model."""
