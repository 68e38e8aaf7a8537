"""What tests of whole calls share."""

from tests.integration.bot.call_stage import stage

__all__ = ["stage"]
