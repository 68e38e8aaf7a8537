"""RTP and RTCP (RFC 3550, 3551, 4733): sans-I/O session and its UDP endpoint on the media thread."""
