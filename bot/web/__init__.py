"""The page and its HTTP API. Imported by bot.app."""
