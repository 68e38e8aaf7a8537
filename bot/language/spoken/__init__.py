"""The rules of `bot.language.speakable`, one kind of written thing a module."""
