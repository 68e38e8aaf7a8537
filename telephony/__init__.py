"""Call legs. Knows nothing of bots or models; bot may import leg, errors, settings and the endpoints."""
