"""The demonstration voice, from nothing: synthetic corpus, small base, its adaptation. Not part of a user's own voice."""
