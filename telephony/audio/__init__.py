"""PCM16 at fixed rates: resampling, G.711, playout and concealment, pacing. No sockets."""
