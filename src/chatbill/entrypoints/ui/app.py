"""One ASGI app: the web app at /ui, its session at /web, and the HTTP API behind them."""

from __future__ import annotations

from dataclasses import replace

import gradio as gr
from fastapi import FastAPI
from gradio.routes import App as GradioApp
from starlette.responses import RedirectResponse
from starlette.routing import Mount
from starlette.types import ASGIApp

from chatbill.application.accounts.sign_in import TokenLifetimes
from chatbill.application.assembly import UseCases
from chatbill.entrypoints.ui.config import WebConfig
from chatbill.entrypoints.ui.envelope import WebEnvelope
from chatbill.entrypoints.ui.front_door import FrontDoor
from chatbill.entrypoints.ui.keys import key_routes
from chatbill.entrypoints.ui.page import build_page
from chatbill.entrypoints.ui.pages import mount_assets
from chatbill.entrypoints.ui.session import session_routes
from chatbill.entrypoints.ui.theme import theme

UI_PATH = "/ui"


def create_web(use_cases: UseCases, api: ASGIApp | None = None, config: WebConfig | None = None) -> FastAPI:
    """The web app, with `api` mounted at the root when there is one.

    The lifespan of `api` is not run: whoever serves this app does that.
    """
    config = config or WebConfig()
    outer = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    outer.add_middleware(FrontDoor, use_cases=use_cases, config=config)
    outer.add_middleware(WebEnvelope)
    outer.add_api_route("/", _to_the_page, methods=["GET", "HEAD"])
    outer.add_api_route(UI_PATH, _to_the_page, methods=["GET", "HEAD"])
    mount_assets(outer)
    # One token is good for the whole session, so that tabs never compete for a refresh token; the store can end it.
    lifetimes = TokenLifetimes(access_s=config.session_s, refresh_s=config.session_s)
    session_routes(outer, use_cases, replace(use_cases.accounts.sign_in, lifetimes=lifetimes))
    key_routes(outer, use_cases)
    gr.mount_gradio_app(
        outer,
        build_page(use_cases, config),
        path=UI_PATH,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        max_file_size=0,
        theme=theme(),
    )
    if api is not None:
        outer.mount("/", api)
    return outer


def end_streams(web: FastAPI) -> None:
    """End the connections by which open pages are kept alive, so that a server need not wait for them to be closed.

    Call it on the event loop when the server is to stop. Replies that are being written are left alone.
    """
    for route in web.routes:
        if isinstance(route, Mount) and isinstance(route.app, GradioApp):
            route.app.stop_event.set()


async def _to_the_page() -> RedirectResponse:
    """The page's address ends with a slash: what it loads is relative to that."""
    return RedirectResponse(f"{UI_PATH}/", status_code=307)
