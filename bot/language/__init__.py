"""Azerbaijani text: speak numbers and dates, read them back. Imports nothing of ours; finetune may import it."""
