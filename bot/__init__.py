"""One conversation: a call leg in, Azerbaijani speech out. Top layer; imports telephony and the speech client."""
