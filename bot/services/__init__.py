"""Thin Pipecat services over injected clients. Imported by bot.pipeline only."""
