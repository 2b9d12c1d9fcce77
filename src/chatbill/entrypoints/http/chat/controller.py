"""Chat: the models, a message and its reply, stopping it, and how the engine stands."""

from __future__ import annotations

from litestar import Controller, Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.response.base import ASGIResponse

from chatbill.application.accounts.principal import Principal
from chatbill.application.assembly import UseCases
from chatbill.application.chat.events import Failed
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import InteractionId
from chatbill.entrypoints.http.chat.bodies import MessageBody
from chatbill.entrypoints.http.chat.events import ChatbillEvents
from chatbill.entrypoints.http.chat.model_views import ChatStatusView, ModelView
from chatbill.entrypoints.http.chat.views import ReplyView, StoppingView
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import MESSAGE_PROBLEMS, documented, streaming
from chatbill.entrypoints.http.shared.config import HttpConfig
from chatbill.entrypoints.http.shared.injection import Injected
from chatbill.entrypoints.http.shared.negotiation import prefers
from chatbill.entrypoints.http.shared.parameters import COMPLETION_ID_PREFIX, IdempotencyKey
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.event_stream import MEDIA_TYPE, ReplyStream
from chatbill.entrypoints.web.parameters import could_be_id
from chatbill.entrypoints.web.problems import PROBLEM_DETAILS, problem_of_reply
from chatbill.entrypoints.web.replies import ReplySource, wait_for_end
from chatbill.entrypoints.web.request_ids import request_id_of


class ChatController(Controller):
    """Messages and what answers them."""

    path = "/chat"
    tags = ("Chat",)

    @get(
        "/models",
        operation_id="listModels",
        summary="Models and prices",
        responses=documented(200, list[ModelView], "Every model on offer.", [examples.MODEL], signed_in=True),
    )
    async def list_models(self, use_cases: Injected[UseCases]) -> list[ModelView]:
        """Every model, what a reply costs in credits, and whether it can answer now."""
        return [ModelView.of(offer) for offer in use_cases.list_models()]

    @get(
        "/status",
        operation_id="readChatStatus",
        summary="Engine and queue",
        responses=documented(200, ChatStatusView, "How the chat stands now.", examples.CHAT_STATUS, signed_in=True),
    )
    async def read_status(self, use_cases: Injected[UseCases], config: Injected[HttpConfig]) -> ChatStatusView:
        """What generates, how many requests run and wait, and the state of each model."""
        return ChatStatusView.of(config.engine, use_cases.list_models())

    @post(
        "/message",
        status_code=200,
        operation_id="sendMessage",
        operation_class=streaming(examples.STREAM),
        summary="Send a message",
        responses=documented(
            200,
            ReplyView,
            "The reply, charged and stored. `outcome` is `completed`, or `stopped` when somebody stopped it.",
            examples.REPLY,
            signed_in=True,
            problems=(*MESSAGE_PROBLEMS, "not_found"),
        ),
    )
    async def send_message(
        self,
        request: JsonRequest,
        data: JSONBody[MessageBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        config: Injected[HttpConfig],
        idempotency_key: IdempotencyKey = None,
    ) -> ASGIResponse:
        """Have a message answered and charged.

        The most it can cost is held first; what is due is charged once the reply is whole. Failures cost nothing.

        With `Accept: text/event-stream` the reply is streamed: `accepted {id, conversation_id, held}`, `delta {text}`
        as often as there is something, then `done` (the body below) or `error` (a problem). What is wrong before the
        message is accepted is a plain problem. Closing the connection stops the reply; it is charged for what was
        delivered, and costs nothing before the first piece.

        A client that waits for the whole reply and leaves before it comes pays nothing, unless it sent an
        `Idempotency-Key`: then the reply is finished, charged, and kept for the same request to fetch.
        """
        reply = await use_cases.send_message(principal, data.to_message(idempotency_key))
        if prefers(MEDIA_TYPE, request.headers.get("accept", "")):
            return ReplyStream(reply, ChatbillEvents(request_id_of(request.scope)), ping_s=config.ping_s)
        return await _whole(reply, request, keep=idempotency_key is not None)

    @post(
        "/interactions/{interaction_id:str}/stop",
        status_code=202,
        operation_id="stopMessage",
        summary="Stop a reply",
        responses=documented(
            202,
            StoppingView,
            "The reply will end; harmless when it has ended.",
            examples.STOPPING,
            signed_in=True,
            problems=("not_found",),
        ),
    )
    async def stop_message(
        self, interaction_id: FromPath[str], use_cases: Injected[UseCases], principal: Injected[Principal]
    ) -> StoppingView:
        """Stop the writing of a reply. Its stream ends with `done` and `outcome: "stopped"`.

        The id can be one of `/v1`, `chatcmpl-…`; such a stream ends as if the reply were whole.
        """
        interaction_id = interaction_id.removeprefix(COMPLETION_ID_PREFIX)
        if not could_be_id(interaction_id):
            raise NotFound("This interaction")
        await use_cases.stop_message(principal, InteractionId(interaction_id))
        return StoppingView(id=interaction_id)


async def _whole(reply: ReplySource, request: JsonRequest, *, keep: bool) -> ASGIResponse:
    """The reply as one answer: its body, or the problem that ended it."""
    end = await wait_for_end(reply, request.receive, keep=keep)
    if isinstance(end, Failed):
        return PROBLEM_DETAILS.response(problem_of_reply(end), request.scope).to_asgi_response(
            app=None, request=request
        )
    return Response(ReplyView.of(end.interaction)).to_asgi_response(app=None, request=request)
