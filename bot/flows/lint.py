"""Finds mistakes in a flow that its form allows: dead ends, clashing keys, names that lead nowhere."""

from __future__ import annotations

from bot.flows.checks.graph import check_graph
from bot.flows.checks.references import check_references
from bot.flows.checks.safety import check_safety
from bot.flows.checks.speech import check_speech
from bot.flows.flow import Flow
from bot.flows.problems import Problem

_CHECKS = (check_references, check_graph, check_speech, check_safety)


def lint(flow: Flow) -> list[Problem]:
    """Run all checks; the paths of the problems lead into the document."""
    return [problem for check in _CHECKS for problem in check(flow)]
