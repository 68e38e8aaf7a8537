"""The demonstration voice from nothing: synthetic corpus, codec, small base, its adaptation. No part of a user's."""
