"""What was said, as values: numbers, telephones, dates, times, money, yes and no, from recognised text."""
