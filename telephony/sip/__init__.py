"""SIP (RFC 3261) and SDP (RFC 3264, 8866): sans-I/O user agent, its endpoints, and a SIP call as a CallLeg."""
