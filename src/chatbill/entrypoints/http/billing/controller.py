"""Routes for the balance, the packages, purchases and transactions."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.params import JSONBody, QueryParameter

from chatbill.application.assembly import UseCases
from chatbill.application.shared.paging import DEFAULT_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.scopes import Scope
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.payments import PaymentStatus
from chatbill.entrypoints.http.billing.bodies import OrderBody, RedeemBody
from chatbill.entrypoints.http.billing.views import (
    BalanceView,
    PackageView,
    ReceiptView,
    RedeemedView,
    TransactionsExportView,
    TransactionsView,
)
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented, returned
from chatbill.entrypoints.http.shared.authentication import SCOPE
from chatbill.entrypoints.http.shared.own_exports import PROBLEMS, OwnFormat
from chatbill.entrypoints.http.shared.parameters import (
    Cursor,
    From,
    IdempotencyKey,
    Injected,
    PageLimit,
    To,
    checked_period,
)
from chatbill.entrypoints.web.exports import FileStream
from chatbill.entrypoints.web.own_exports import export_transactions
from chatbill.entrypoints.web.parameters import checked_choice

PAYMENTS_HEADER = "X-Chatbill-Payments"
KINDS = tuple(kind.value for kind in EntryKind)


class BillingController(Controller):
    """The wallet of the user."""

    path = "/billing"
    tags = ("Billing",)

    @get(
        "/balance",
        operation_id="readBalance",
        opt={SCOPE: Scope.CHAT},
        summary="Read the balance",
        responses=documented(200, BalanceView, "The wallet as it is now.", examples.BALANCE, signed_in=True),
    )
    async def read_balance(self, use_cases: Injected[UseCases], principal: Injected[Principal]) -> BalanceView:
        """Return the credits owned, the credits held for running replies, and the credits available."""
        return BalanceView.of(await use_cases.billing.read_balance(principal))

    @get(
        "/packages",
        operation_id="listPackages",
        opt={SCOPE: Scope.BILLING},
        summary="List packages",
        responses=documented(
            200,
            list[PackageView],
            f"Packages on sale. The header `{PAYMENTS_HEADER}` names the payment provider: `sandbox` takes no money, "
            "and with `none` only administrators add credits.",
            [examples.PACKAGE],
            signed_in=True,
        ),
    )
    async def list_packages(self, use_cases: Injected[UseCases]) -> Response[list[PackageView]]:
        """List the packages of credits, with their bonus and price."""
        packages = [PackageView.of(package) for package in use_cases.billing.list_packages().packages]
        return Response(packages, headers={PAYMENTS_HEADER: use_cases.billing.payment_provider})

    @post(
        "/add",
        status_code=201,
        operation_id="addCredits",
        summary="Buy credits",
        responses=documented(
            201,
            ReceiptView,
            "The payment is confirmed and the credits are in the wallet.",
            examples.RECEIPT,
            signed_in=True,
            problems=("invalid_request", "forbidden", "idempotency_mismatch", "request_in_progress", "rate_limited"),
        )
        | {
            202: returned(
                ReceiptView,
                "Pay at `checkout_url`; the credits are added when the payment is confirmed.",
                examples.PENDING,
            )
        },
    )
    async def add_credits(
        self,
        data: JSONBody[OrderBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[ReceiptView]:
        """Buy a package, or an amount of credits. With an `Idempotency-Key`, a retry does not buy twice."""
        receipt = await use_cases.billing.place_order(principal, data.to_order(idempotency_key))
        if receipt.payment.status is PaymentStatus.CONFIRMED:
            return Response(ReceiptView.confirmed(receipt), status_code=201)
        wallet = await use_cases.billing.read_balance(principal)
        return Response(ReceiptView.pending(receipt, balance=wallet.posted), status_code=202)

    @post(
        "/redeem",
        status_code=201,
        operation_id="redeemCode",
        summary="Redeem a code",
        responses=documented(
            201,
            RedeemedView,
            "The credits are in the wallet.",
            examples.REDEEMED,
            signed_in=True,
            problems=("invalid_request", "not_found", "conflict", "rate_limited"),
        ),
    )
    async def redeem_code(
        self,
        data: JSONBody[RedeemBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        client_address: Injected[str],
    ) -> RedeemedView:
        """Add the credits that a code is worth, once a person. Letter case, blanks and dashes do not matter."""
        return RedeemedView.of(await use_cases.billing.redeem(principal, data.to_order(client_address)))

    @get(
        "/transactions",
        operation_id="listTransactions",
        opt={SCOPE: Scope.BILLING},
        summary="List transactions",
        responses=documented(
            200,
            TransactionsView,
            "Transactions, newest first.",
            examples.TRANSACTIONS,
            signed_in=True,
            problems=("invalid_request",),
        ),
    )
    async def list_transactions(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        kind: Annotated[
            str | None, QueryParameter(description="The kind of the transaction.", schema_extra={"enum": list(KINDS)})
        ] = None,
        start: From = None,
        end: To = None,
        limit: PageLimit = DEFAULT_PAGE,
        cursor: Cursor = None,
    ) -> TransactionsView:
        """List every transaction of your wallet, with the balance after it."""
        page = await use_cases.billing.list_transactions(
            principal,
            kind=checked_choice("kind", kind, EntryKind),
            period=checked_period(start, end),
            limit=limit,
            cursor=cursor,
        )
        return TransactionsView.of(page)

    @get(
        "/transactions/export",
        operation_id="exportTransactions",
        opt={SCOPE: Scope.BILLING},
        summary="Export transactions",
        responses=documented(
            200,
            TransactionsExportView,
            "A file, streamed.",
            examples.TRANSACTIONS_EXPORT,
            signed_in=True,
            problems=PROBLEMS,
        ),
    )
    async def export_transactions(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        kind: Annotated[
            str | None, QueryParameter(description="The kind of the transaction.", schema_extra={"enum": list(KINDS)})
        ] = None,
        start: From = None,
        end: To = None,
        form: OwnFormat = "json",
    ) -> FileStream:
        """Export every transaction of your wallet, newest first. One export runs at a time."""
        return await export_transactions(
            use_cases,
            principal,
            form,
            kind=checked_choice("kind", kind, EntryKind),
            period=checked_period(start, end),
        )
