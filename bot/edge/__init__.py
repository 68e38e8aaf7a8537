"""The public front: HTTP and SIP sockets, and the processes behind them. Imported by bot.cli only."""
