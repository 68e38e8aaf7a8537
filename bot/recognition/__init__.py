"""Speech recognition and intent understanding: clients and the local servers behind them."""
