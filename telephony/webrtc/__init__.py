"""WebRTC by aiortc: negotiation, media, and a WebRTC call as a CallLeg."""
