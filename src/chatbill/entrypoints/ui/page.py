"""The layout of the chat page, and the handlers of its events."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from html import escape
from typing import Any, Literal

import gradio as gr

from chatbill.application.assembly import UseCases
from chatbill.entrypoints.ui.chat import Chat
from chatbill.entrypoints.ui.config import WebConfig
from chatbill.entrypoints.ui.markdown.formulas import page_delimiters
from chatbill.entrypoints.ui.shop import Shop
from chatbill.entrypoints.ui.tabs import Tabs
from chatbill.entrypoints.ui.widgets import ShopWidgets, Widgets
from chatbill.entrypoints.ui.writing import Writing

REFRESH_S = 5
WATCH_S = 1
EMPTY = "### What would you like to know?\nPick a model, write a message. Its price is charged when the reply is there."
# Asked in the browser. "No" sends None as the conversation, and nothing is deleted.
CONFIRM = "(id) => chatbill.confirms('Delete this conversation? What was said in it is erased for ever.') ? id : null"
# The script of the page keeps the address.
NAMED = "() => chatbill.named()"
OPENED = "(id) => chatbill.opened(id)"
VISIT = "(id) => chatbill.visits(id)"
BRAND = (
    '<button id="cb-menu" type="button" aria-expanded="false" aria-controls="cb-side">Chats</button>'
    '<span class="cb-brand">{title}</span>'
)
# Only with a mouse: on a touch screen the focus would open the keyboard over half the page.
FOCUS = "() => matchMedia('(pointer: fine)').matches && document.querySelector('#cb-box textarea')?.focus()"
SIGN_OUT = "() => chatbill.signOut()"
SHOW_KEYS = "() => chatbill.showKeys()"
SHOW_ACCOUNT = "() => chatbill.showAccount()"


def build_page(use_cases: UseCases, config: WebConfig, tabs: Tabs) -> gr.Blocks:
    """Return the page for signed-in users. It holds no data of a user until its `load` event has authenticated one."""
    blocks = gr.Blocks(title=config.title, analytics_enabled=False, fill_height=True, fill_width=True)
    with blocks:
        widgets = _layout(config)
        _wire_chat(blocks, widgets, Chat(use_cases, widgets, tabs))
        _wire_writing(widgets, Writing(use_cases, widgets, tabs))
        _wire_shop(widgets, Shop(use_cases, widgets, config))
    # Gradio computes statistics for every event, which are not used here.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(sys.maxsize))
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
    blocks.max_threads = config.max_running
    blocks.queue(api_open=False, max_size=config.max_waiting, default_concurrency_limit=config.max_running)
    return blocks


def _layout(config: WebConfig) -> Widgets:
    with gr.Row(elem_id="cb-head"):
        gr.HTML(BRAND.format(title=escape(config.title)), elem_id="cb-brand")
        identity = gr.HTML("", elem_id="cb-identity")
        add_credits = gr.Button("Add credits", size="sm", elem_id="cb-add-credits")
        sign_out = gr.Button("Sign out", size="sm", elem_id="cb-sign-out")
    shop = _shop()
    with gr.Row(elem_id="cb-main"):
        with gr.Column(elem_id="cb-side", min_width=0):
            new_chat = gr.Button("New chat", size="sm", elem_id="cb-new")
            conversations = gr.Radio([], label="Conversations", elem_id="cb-conversations")
            newest = gr.Button("Newest chats", size="sm", elem_id="cb-newest", visible=False)
            older = gr.Button("Older chats", size="sm", elem_id="cb-older", visible=False)
            delete = gr.Button("Delete this chat", size="sm", elem_id="cb-delete", visible=False)
            api_keys = gr.Button("API keys", size="sm", elem_id="cb-api-keys")
            account = gr.Button("Account", size="sm", elem_id="cb-account-button")
        with gr.Column(elem_id="cb-talk", min_width=0):
            chat = _chat()
            with gr.Column(elem_id="cb-composer"):
                model = gr.Radio([], label="Model", elem_id="cb-model", container=False)
                with gr.Row(elem_id="cb-write"):
                    box = _text_box()
                    send = gr.Button("Send", variant="primary", elem_id="cb-send", min_width=90, scale=0)
                    stop = gr.Button("Stop", variant="stop", elem_id="cb-stop", min_width=90, scale=0, visible=False)
    return Widgets(
        identity=identity,
        add_credits=add_credits,
        sign_out=sign_out,
        refresh=gr.Button("Refresh", visible="hidden", elem_id="cb-refresh"),
        ticker=gr.Timer(REFRESH_S, active=False),
        watch=gr.Timer(WATCH_S, active=False),
        current=gr.Textbox("", visible="hidden", elem_id="cb-current"),
        go=gr.Button("Go", visible="hidden", elem_id="cb-go"),
        shop=shop,
        new_chat=new_chat,
        conversations=conversations,
        older=older,
        newest=newest,
        next_page=gr.Textbox("", visible="hidden", elem_id="cb-next-page"),
        delete=delete,
        api_keys=api_keys,
        account=account,
        chat=chat,
        model=model,
        box=box,
        send=send,
        stop=stop,
    )


def _text_box() -> gr.Textbox:
    return gr.Textbox(
        label="Message",
        placeholder="Write a message",
        lines=1,
        max_lines=8,
        container=False,
        elem_id="cb-box",
        interactive=False,
    )


def _chat() -> gr.Chatbot:
    return gr.Chatbot(
        label="Conversation",
        show_label=False,
        elem_id="cb-chat",
        container=False,
        height="100%",
        layout="bubble",
        placeholder=EMPTY,
        # Messages are HTML, made of Markdown on the server: see `markdown`. Gradio adds KaTeX for formulas.
        render_markdown=False,
        latex_delimiters=page_delimiters(),
        buttons=[],
        feedback_options=None,
        allow_file_downloads=False,
        allow_tags=False,
        sanitize_html=True,
    )


def _shop() -> ShopWidgets:
    with gr.Column(visible=False, elem_id="cb-shop") as panel:
        packages = gr.Radio([], label="Add credits", elem_id="cb-packages")
        text = gr.Markdown("", elem_id="cb-shop-words")
        with gr.Row(elem_id="cb-shop-buttons"):
            choose = gr.Button("Continue", variant="primary", size="sm")
            confirm = gr.Button("Confirm", variant="primary", size="sm", visible=False)
            back = gr.Button("Back", size="sm", visible=False)
            close = gr.Button("Close", size="sm")
    return ShopWidgets(
        panel=panel,
        packages=packages,
        text=text,
        choose=choose,
        confirm=confirm,
        back=back,
        close=close,
        order=gr.Textbox("", visible="hidden", elem_id="cb-order"),
    )


def _wire_chat(blocks: gr.Blocks, widgets: Widgets, chat: Chat) -> None:
    w = widgets
    _on(w, [blocks.load], chat.open, [w.current], js=NAMED).then(fn=None, js=FOCUS)
    _on(w, [w.go.click], chat.go, [w.current], js=NAMED, trigger_mode="always_last")
    w.current.change(fn=None, inputs=[w.current], js=OPENED)
    _on(w, [w.refresh.click, w.ticker.tick], chat.refresh, [w.current])
    _on(w, [w.conversations.input], chat.pick, [w.conversations], js=VISIT, trigger_mode="always_last")
    _on(w, [w.older.click], chat.older, [w.current, w.next_page])
    _on(w, [w.newest.click], chat.newest, [w.current])
    _on(w, [w.new_chat.click], chat.new, js=VISIT)
    _on(w, [w.delete.click], chat.delete, [w.current], js=CONFIRM)
    w.sign_out.click(fn=None, js=SIGN_OUT)
    w.api_keys.click(fn=None, js=SHOW_KEYS)
    w.account.click(fn=None, js=SHOW_ACCOUNT)


def _wire_writing(widgets: Widgets, writing: Writing) -> None:
    w = widgets
    _on(w, [w.send.click, w.box.submit], writing.send, [w.box, w.model, w.current])
    _on(w, [w.watch.tick], writing.watch, [w.current])
    _on(w, [w.stop.click], writing.stop, [w.current])


def _wire_shop(widgets: Widgets, shop: Shop) -> None:
    w = widgets.shop
    _on(widgets, [widgets.add_credits.click, w.back.click], shop.open)
    _on(widgets, [w.choose.click], shop.choose, [w.packages])
    _on(widgets, [w.confirm.click], shop.confirm, [w.order])
    _on(widgets, [w.close.click], shop.close)


def _on(
    widgets: Widgets,
    triggers: list[Any],
    handler: Callable[..., Any],
    inputs: list[Any] | None = None,
    js: str | None = None,
    trigger_mode: Literal["once", "always_last"] = "once",
) -> Any:
    """Handle these events with a handler, one at a time in each browser tab.

    Values come as the page sends them: Gradio would check them against what it has kept of the tab, which is forgotten
    when the service restarts or the tab is not used for long.
    """
    return gr.on(
        triggers,
        handler,
        inputs=inputs or [],
        outputs=widgets.all,
        js=js,
        preprocess=False,
        trigger_mode=trigger_mode,
        show_progress="hidden",
        api_visibility="private",
    )
