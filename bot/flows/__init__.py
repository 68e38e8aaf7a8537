"""Call flows as data: load, lint, run. The engine is told the time and opens nothing. Imports bot.language only."""
