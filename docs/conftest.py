"""Runs the Python examples of every page, in order; what a page defines stays defined until its end.

The reference is made from the code and contains signatures, which are no examples.
"""

from __future__ import annotations

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=["*.md"], excludes=["reference.md"]).pytest()
