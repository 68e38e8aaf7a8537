"""The language model behind flows: any OpenAI-compatible server. Of the bot it knows the flow's messages only."""
