"""What `bot.flows.lint` looks for, one kind of mistake a module; each problem has the path of its place."""
