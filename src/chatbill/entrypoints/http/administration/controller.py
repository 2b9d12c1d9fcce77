"""Administration: credits that are moved by hand."""

from __future__ import annotations

from litestar import Controller, post
from litestar.params import FromPath, JSONBody

from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import InteractionId, UserId
from chatbill.entrypoints.http.administration.bodies import CreditsBody, RefundBody
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.shared.authentication import PERMISSION
from chatbill.entrypoints.http.shared.parameters import IdempotencyKey, Injected
from chatbill.entrypoints.web.own_rows import TransactionView
from chatbill.entrypoints.web.parameters import could_be_id

PROBLEMS = ("invalid_request", "forbidden", "not_found", "conflict", "idempotency_mismatch")


class AdminController(Controller):
    """Routes for administrators."""

    path = "/admin"
    tags = ("Administration",)

    @post(
        "/users/{user_id:str}/credits",
        status_code=201,
        opt={PERMISSION: Permission.ADJUST_CREDITS},
        operation_id="adjustCredits",
        summary="Add credits to a wallet, or take some from it",
        responses=documented(
            201, TransactionView, "The entry in the ledger.", examples.ADJUSTMENT, signed_in=True, problems=PROBLEMS
        ),
    )
    async def adjust_credits(
        self,
        user_id: FromPath[str],
        data: JSONBody[CreditsBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> TransactionView:
        """Adjust a wallet. The ledger records the reason and your name. No balance falls below the allowed debt."""
        if not could_be_id(user_id):
            raise NotFound("user")
        order = data.to_order(idempotency_key)
        return TransactionView.of(
            await use_cases.administration.adjust_credits(principal, UserId(user_id), data.amount, order)
        )

    @post(
        "/interactions/{interaction_id:str}/refund",
        status_code=201,
        opt={PERMISSION: Permission.REFUND},
        operation_id="refundInteraction",
        summary="Give back what a reply cost",
        responses=documented(
            201, TransactionView, "The entry in the ledger.", examples.REFUND, signed_in=True, problems=PROBLEMS
        ),
    )
    async def refund_interaction(
        self,
        interaction_id: FromPath[str],
        data: JSONBody[RefundBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> TransactionView:
        """Give back the whole charge or a part. All refunds of a reply together are at most its charge."""
        if not could_be_id(interaction_id):
            raise NotFound("interaction")
        order = data.to_order(idempotency_key)
        entry = await use_cases.administration.refund(
            principal, InteractionId(interaction_id), order, amount=data.amount
        )
        return TransactionView.of(entry)
