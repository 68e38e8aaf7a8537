"""Calls that come as one stream of audio: Asterisk's AudioSocket and WebSocket channel, a provider's media WebSocket.

A PBX or provider has taken the call and keeps its signalling; we get sound and keys. Imports audio and the leg's seam.
"""
