"""A small recogniser of letters that says how much of a synthetic voice can be understood, and guides a codec by it."""
