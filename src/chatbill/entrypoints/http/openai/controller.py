"""Routes for clients of OpenAI's API, over the same use cases and wallets as the rest of the API."""

from __future__ import annotations

from litestar import Controller, Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.response.base import ASGIResponse

from chatbill.application.assembly import UseCases
from chatbill.application.chat.events import Failed
from chatbill.application.chat.list_models import ModelOffer
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.scopes import Scope
from chatbill.domain.shared.errors import NotFound, ReasonedError
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import MESSAGE_PROBLEMS, streaming
from chatbill.entrypoints.http.openai.bodies import ChatCompletionBody
from chatbill.entrypoints.http.openai.chunks import ChatChunks
from chatbill.entrypoints.http.openai.documentation import documented_openai
from chatbill.entrypoints.http.openai.errors import OPENAI_ERRORS
from chatbill.entrypoints.http.openai.views import CompletionView, OpenAIModelsView, OpenAIModelView, headers_of
from chatbill.entrypoints.http.shared.authentication import SCOPE
from chatbill.entrypoints.http.shared.config import HttpConfig
from chatbill.entrypoints.http.shared.parameters import IdempotencyKey, Injected
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.event_stream import ReplyStream
from chatbill.entrypoints.web.problems import problem_of_reply
from chatbill.entrypoints.web.replies import ReplySource, wait_for_end
from chatbill.entrypoints.web.request_ids import request_id_of

EARLY_S = 1.0
"""How long the beginning of a stream waits for a failure, which then has a status of its own."""


class ModelNotFound(NotFound):
    """There is no model with this id."""

    code = "model_not_found"

    def __init__(self, known: list[str]) -> None:
        ReasonedError.__init__(self, known=", ".join(known))


class OpenAIController(Controller):
    """The routes below `/v1`. Unmodified clients of OpenAI work with an API key of chatbill."""

    path = "/v1"
    tags = ("OpenAI",)
    exception_handlers = {Exception: OPENAI_ERRORS.answer}  # noqa: RUF012 - the framework's type is a mutable mapping

    @get(
        "/models",
        operation_id="listOpenAIModels",
        opt={SCOPE: Scope.CHAT},
        summary="Models, for OpenAI's clients",
        responses=documented_openai(OpenAIModelsView, "Every model on offer.", examples.OPENAI_MODELS),
    )
    async def list_models(self, use_cases: Injected[UseCases]) -> OpenAIModelsView:
        """List every model in the format of OpenAI, with its price in credits."""
        return OpenAIModelsView(data=[OpenAIModelView.of(offer) for offer in use_cases.chat.list_models()])

    @get(
        "/models/{model:path}",
        operation_id="readOpenAIModel",
        opt={SCOPE: Scope.CHAT},
        summary="One model, for OpenAI's clients",
        responses=documented_openai(OpenAIModelView, "The model.", examples.OPENAI_MODEL, "model_not_found"),
    )
    async def read_model(self, model: FromPath[str], use_cases: Injected[UseCases]) -> OpenAIModelView:
        """Return one model in the format of OpenAI."""
        return OpenAIModelView.of(_offer(use_cases, model.removeprefix("/")))

    @post(
        "/chat/completions",
        status_code=200,
        operation_id="createChatCompletion",
        opt={SCOPE: Scope.CHAT},
        operation_class=streaming(examples.CHUNKS),
        summary="Chat completion, for OpenAI's clients",
        responses=documented_openai(
            CompletionView, "The reply, charged and stored.", examples.COMPLETION, *MESSAGE_PROBLEMS, "model_not_found"
        ),
    )
    async def create_chat_completion(
        self,
        request: JsonRequest,
        data: JSONBody[ChatCompletionBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        config: Injected[HttpConfig],
        idempotency_key: IdempotencyKey = None,
    ) -> ASGIResponse:
        """Answer the last message, and charge it like `POST /chat/message`.

        The request has its own history. Only the last message and the reply are stored, and listed by
        `GET /chat/history`, not among the conversations. The headers `X-Chatbill-Credits-Charged` and
        `X-Chatbill-Balance` have the charge, and `X-Chatbill-Cached` says whether the reply was written before.

        With `stream` the reply comes in chunks while it is written. The last comment has the charge, and with
        `stream_options.include_usage` the usage has it too. A failure during the stream is one event with an `error`,
        and free. After a lost connection, the delivered text is charged.

        Messages that do not fit into the model's window are answered with 400 `context_length_exceeded`; none is left
        out. Without `max_tokens`, the reply is at most as long as the messages leave room for.

        `developer` means `system`. System messages are joined, and so are neighbours with the same role. Fields without
        effect are ignored; `tools`, `response_format` other than text, `logprobs`, `n` over 1, `top_k`, `min_p`,
        `guided_json` and other unsupported fields are answered with 400.
        """
        _offer(use_cases, data.model)
        message = data.to_message(idempotency_key)
        longest = use_cases.chat.send_message.drafts.longest_reply(message)
        reply = await use_cases.chat.send_message(principal, message)
        if data.stream:
            if failed := await reply.early_failure(within_s=EARLY_S):
                return _failure(failed, request)
            chunks = ChatChunks(longest=longest, usage=data.wants_usage, request_id=request_id_of(request.scope))
            return ReplyStream(reply, chunks, ping_s=config.ping_s)
        return await _whole_reply(reply, request, longest=longest, keep=idempotency_key is not None)


async def _whole_reply(reply: ReplySource, request: JsonRequest, *, longest: int, keep: bool) -> ASGIResponse:
    """Return the whole reply, or the error that ended it."""
    end = await wait_for_end(reply, request.receive, keep=keep)
    if isinstance(end, Failed):
        return _failure(end, request)
    answer = Response(CompletionView.of(end, longest=longest), headers=headers_of(end.interaction))
    return answer.to_asgi_response(app=None, request=request)


def _failure(failed: Failed, request: JsonRequest) -> ASGIResponse:
    return OPENAI_ERRORS.response(problem_of_reply(failed), request.scope).to_asgi_response(app=None, request=request)


def _offer(use_cases: UseCases, model: str) -> ModelOffer:
    """Return the model with this id. Raises `ModelNotFound`, which is 404 in OpenAI's API."""
    offers = use_cases.chat.list_models()
    for offer in offers:
        if offer.model.id == model:
            return offer
    raise ModelNotFound([offer.model.id for offer in offers])
