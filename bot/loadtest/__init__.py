"""Load tests from the caller's side of the audio. On top: nothing but the command line imports it."""
