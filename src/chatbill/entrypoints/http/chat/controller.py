"""Routes for models, messages and their replies, and the state of the engine."""

from __future__ import annotations

from litestar import Controller, Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.response.base import ASGIResponse

from chatbill.application.assembly import UseCases
from chatbill.application.chat.events import Failed
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.scopes import Scope
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import InteractionId
from chatbill.entrypoints.http.chat.bodies import MessageBody, RegenerateBody
from chatbill.entrypoints.http.chat.events import ChatbillEvents
from chatbill.entrypoints.http.chat.model_views import ChatStatusView, ModelView
from chatbill.entrypoints.http.chat.views import QuoteView, ReplyView, StoppingView
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import MESSAGE_PROBLEMS, documented, streaming
from chatbill.entrypoints.http.shared.authentication import SCOPE
from chatbill.entrypoints.http.shared.config import HttpConfig
from chatbill.entrypoints.http.shared.negotiation import prefers
from chatbill.entrypoints.http.shared.parameters import COMPLETION_ID_PREFIX, IdempotencyKey, Injected
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.event_stream import MEDIA_TYPE, ReplyStream
from chatbill.entrypoints.web.parameters import could_be_id
from chatbill.entrypoints.web.problems import PROBLEM_DETAILS, problem_of_reply
from chatbill.entrypoints.web.replies import ReplySource, wait_for_end
from chatbill.entrypoints.web.request_ids import request_id_of


class ChatController(Controller):
    """Models, messages and replies."""

    path = "/chat"
    tags = ("Chat",)

    @get(
        "/models",
        operation_id="listModels",
        opt={SCOPE: Scope.CHAT},
        summary="Models and prices",
        responses=documented(200, list[ModelView], "Every model on offer.", [examples.MODEL], signed_in=True),
    )
    async def list_models(self, use_cases: Injected[UseCases]) -> list[ModelView]:
        """List every model, its price in credits, and whether it is available."""
        return [ModelView.of(offer) for offer in use_cases.chat.list_models()]

    @get(
        "/status",
        operation_id="readChatStatus",
        opt={SCOPE: Scope.CHAT},
        summary="Engine and queue",
        responses=documented(
            200, ChatStatusView, "The state of the engine and of all models.", examples.CHAT_STATUS, signed_in=True
        ),
    )
    async def read_status(self, use_cases: Injected[UseCases], config: Injected[HttpConfig]) -> ChatStatusView:
        """Return the engine, how many requests run and wait, and the state of each model."""
        return ChatStatusView.of(config.engine, use_cases.chat.list_models())

    @post(
        "/message",
        status_code=200,
        operation_id="sendMessage",
        opt={SCOPE: Scope.CHAT},
        operation_class=streaming(examples.STREAM),
        summary="Send a message",
        responses=documented(
            200,
            ReplyView,
            "The reply, charged and stored. `outcome` is `completed`, or `stopped` if it was stopped.",
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
        """Send a message to a model, and charge its reply.

        The most that it can cost is held first; its price is charged once the reply is complete. Failures are free.

        With `Accept: text/event-stream` the reply is streamed: `accepted {id, conversation_id, held}`, then each
        `delta {text}`, then `done` (the body below) or `error` (a problem). An error before the message is accepted
        is a plain problem. Closing the connection stops the reply; the delivered text is charged, and a reply without
        any is free.

        A client that disconnects while it waits for the whole reply pays nothing, unless it sent an
        `Idempotency-Key`: then the reply is finished and charged, and the same request fetches it later. Replies that
        end unpaid are limited for each person and hour; at the limit, the answer is 429 `rate_limited`.

        The oldest messages of a conversation that does not fit into the model's window are left out, and `context`
        says how many. A message that does not fit alone is answered with 400 `context_length_exceeded`.
        """
        reply = await use_cases.chat.send_message(principal, data.to_message(idempotency_key))
        return await _answer(reply, request, config, keep=idempotency_key is not None)

    @post(
        "/quote",
        status_code=200,
        operation_id="quoteMessage",
        opt={SCOPE: Scope.CHAT},
        summary="Ask what a message can cost",
        responses=documented(
            200,
            QuoteView,
            "The most and the expected price of the reply, and what the wallet has.",
            examples.QUOTE,
            signed_in=True,
            problems=("invalid_request", "too_large", "context_length_exceeded", "rate_limited", "not_found"),
        ),
    )
    async def quote_message(
        self, data: JSONBody[MessageBody], use_cases: Injected[UseCases], principal: Injected[Principal]
    ) -> QuoteView:
        """Say what the reply to a message can cost. Nothing is held, and no model is loaded for it.

        `expected` comes from the length of your latest replies by this model.
        """
        return QuoteView.of(await use_cases.chat.quote_message(principal, data.to_message(None)))

    @post(
        "/interactions/{interaction_id:str}/regenerate",
        status_code=200,
        operation_id="regenerateReply",
        opt={SCOPE: Scope.CHAT},
        operation_class=streaming(examples.STREAM),
        summary="Let a model answer a message again",
        responses=documented(
            200,
            ReplyView,
            "Another reply to the same message, charged and stored. It follows what the first one follows.",
            examples.REPLY,
            signed_in=True,
            problems=(*MESSAGE_PROBLEMS, "not_found", "conflict"),
        ),
    )
    async def regenerate(
        self,
        interaction_id: FromPath[str],
        request: JsonRequest,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        config: Injected[HttpConfig],
        data: JSONBody[RegenerateBody | None] = None,
        idempotency_key: IdempotencyKey = None,
    ) -> ASGIResponse:
        """Answer the message of an interaction again, by the same model or by another one, as a branch of its own.

        The earlier reply stays. The answer, its stream and its price are those of a message.
        """
        if not could_be_id(interaction_id):
            raise NotFound("interaction")
        message = (data or RegenerateBody()).to_message(idempotency_key)
        reply = await use_cases.chat.regenerate(principal, InteractionId(interaction_id), message)
        return await _answer(reply, request, config, keep=idempotency_key is not None)

    @post(
        "/interactions/{interaction_id:str}/stop",
        status_code=202,
        operation_id="stopMessage",
        opt={SCOPE: Scope.CHAT},
        summary="Stop a reply",
        responses=documented(
            202,
            StoppingView,
            "The reply will end, or has ended.",
            examples.STOPPING,
            signed_in=True,
            problems=("not_found",),
        ),
    )
    async def stop_message(
        self, interaction_id: FromPath[str], use_cases: Injected[UseCases], principal: Injected[Principal]
    ) -> StoppingView:
        """Stop a reply. Its stream ends with `done` and `outcome: "stopped"`.

        An id of `/v1`, `chatcmpl-…`, is accepted too. The stream there ends like that of a complete reply.
        """
        interaction_id = interaction_id.removeprefix(COMPLETION_ID_PREFIX)
        if not could_be_id(interaction_id):
            raise NotFound("interaction")
        await use_cases.chat.stop_message(principal, InteractionId(interaction_id))
        return StoppingView(id=interaction_id)


async def _answer(reply: ReplySource, request: JsonRequest, config: HttpConfig, *, keep: bool) -> ASGIResponse:
    """Return the reply as a stream where the client prefers one, or else whole, or the problem that ended it."""
    if prefers(MEDIA_TYPE, request.headers.get("accept", "")):
        return ReplyStream(reply, ChatbillEvents(request_id_of(request.scope)), ping_s=config.ping_s)
    end = await wait_for_end(reply, request.receive, keep=keep)
    if isinstance(end, Failed):
        return PROBLEM_DETAILS.response(problem_of_reply(end), request.scope).to_asgi_response(
            app=None, request=request
        )
    return Response(ReplyView.of(end)).to_asgi_response(app=None, request=request)
