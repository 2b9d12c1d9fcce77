"""Gradio is imported without its type stubs."""

from __future__ import annotations

import inspect
import subprocess
import sys

import gradio as gr
import pytest

from chatbill.entrypoints.ui.importing import without_stubs

OPENED = """
import sys
opened = []
sys.addaudithook(lambda event, what: opened.append(what[0]) if event == "open" and ".pyi" in str(what[0]) else None)
import chatbill.entrypoints.ui
assert "gradio" in sys.modules
assert not opened, opened
"""


def test_the_import_of_the_page_reads_and_writes_no_stubs() -> None:
    subprocess.run([sys.executable, "-c", OPENED], check=True, timeout=100)


def test_only_components_have_no_file_and_only_meanwhile() -> None:
    of_component, of_this = inspect.getfile(gr.HTML), inspect.getfile(without_stubs)
    with without_stubs():
        assert inspect.getfile(without_stubs) == of_this
        with pytest.raises(OSError, match="no file while it is imported"):
            inspect.getfile(gr.HTML)
    assert inspect.getfile(gr.HTML) == of_component
