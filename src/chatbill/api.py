"""The public surface for applications that embed chatbill; it needs nothing but Python.

What is named here keeps its name, its parameters and its meaning within a major version; other modules may change in
any release. `chatbill.adapters.persistence`, which needs the extra `sqlite` or `postgres`, and `chatbill.testing` are
public too.
"""

from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.payments.sandbox import SandboxPayments
from chatbill.adapters.system import SystemClock, Uuid7Ids
from chatbill.application.accounts.open_account import Account
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials, SignedIn
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.assembly import UseCases, assemble
from chatbill.application.audit.verify_ledger import Verdict, VerifyLedger
from chatbill.application.billing.charges import Charge, Charges
from chatbill.application.billing.list_events import ListEvents
from chatbill.application.billing.place_order import Order, Receipt
from chatbill.application.billing.postings import keep_hold, keep_posting, settle_hold
from chatbill.application.chat.events import Accepted, Completed, Context, Delta, Failed, Stopped
from chatbill.application.chat.messages import Message
from chatbill.application.maintenance.expire_holds import ExpireHolds
from chatbill.application.policy import Policy
from chatbill.application.ports.billing import BillingStore, BillingTransaction
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.engine import (
    GREEDY_BELOW,
    THINKING,
    Chunk,
    Engine,
    Generation,
    GenerationRequest,
    ModelState,
    ModelStatus,
)
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.payments import Checkout, PaymentProvider
from chatbill.application.ports.provider import Ports
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.bounds import ReplyBounds, TokenLifetimes
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.audit.proof import Difference, Tally
from chatbill.domain.billing.events import BillingEvent, EventKind, RecordedEvent
from chatbill.domain.billing.holds import MAX_HOLD_S, Hold, HoldState
from chatbill.domain.billing.ledger import MAX_CREDITS, Cause, EntryKind, LedgerEntry
from chatbill.domain.billing.payments import Money, Package, Payment, PaymentEvent, PaymentStatus, PriceList
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.subjects import Owner, Subject
from chatbill.domain.billing.wallets import Capture, Posting, Promise, Wallet
from chatbill.domain.chat.catalogue import Catalogue, Model, Tier
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    AlreadySettled,
    ChatbillError,
    Conflict,
    ContextLengthExceeded,
    Forbidden,
    GenerationFailed,
    IdempotencyMismatch,
    InsufficientCredits,
    InvalidRequest,
    InvariantViolation,
    ModelUnavailable,
    NotFound,
    Overloaded,
    RateLimited,
    TokenExpired,
    TooLarge,
    Unauthenticated,
)
from chatbill.domain.shared.idempotency import IdempotencyRecord
from chatbill.domain.shared.ids import (
    ApiKeyId,
    ConversationId,
    EntryId,
    HoldId,
    InteractionId,
    ModelId,
    PaymentId,
    SessionId,
    UserId,
    WalletId,
)

__all__ = [
    "GREEDY_BELOW",
    "MAX_CREDITS",
    "MAX_HOLD_S",
    "THINKING",
    "Accepted",
    "Account",
    "AdminAction",
    "AlreadySettled",
    "ApiKeyId",
    "BillingEvent",
    "BillingStore",
    "BillingTransaction",
    "Capture",
    "Catalogue",
    "Cause",
    "Charge",
    "Charges",
    "ChatbillError",
    "Checkout",
    "Chunk",
    "Clock",
    "Completed",
    "Conflict",
    "Context",
    "ContextLengthExceeded",
    "ConversationId",
    "Credentials",
    "Delta",
    "Description",
    "Difference",
    "Engine",
    "EntryId",
    "EntryKind",
    "EventKind",
    "ExpireHolds",
    "Failed",
    "Forbidden",
    "Generation",
    "GenerationFailed",
    "GenerationRequest",
    "Hold",
    "HoldId",
    "HoldState",
    "IdempotencyMismatch",
    "IdempotencyRecord",
    "InsufficientCredits",
    "Interaction",
    "InteractionId",
    "InvalidRequest",
    "InvariantViolation",
    "LedgerEntry",
    "Limit",
    "ListEvents",
    "MemoryStore",
    "Message",
    "Model",
    "ModelId",
    "ModelState",
    "ModelStatus",
    "ModelUnavailable",
    "Money",
    "NewId",
    "NotFound",
    "Order",
    "Outcome",
    "Overloaded",
    "Owner",
    "Package",
    "Passwords",
    "Payment",
    "PaymentEvent",
    "PaymentId",
    "PaymentProvider",
    "PaymentStatus",
    "Policy",
    "Ports",
    "Posting",
    "Price",
    "PriceList",
    "Principal",
    "Promise",
    "RateLimited",
    "RateLimits",
    "Receipt",
    "RecordedEvent",
    "Registration",
    "ReplyBounds",
    "Role",
    "SandboxPayments",
    "SessionId",
    "SignedIn",
    "Snapshot",
    "Stopped",
    "Store",
    "StoreUnavailable",
    "Subject",
    "SystemClock",
    "Tally",
    "Tier",
    "TokenExpired",
    "TokenLifetimes",
    "Tokens",
    "TooLarge",
    "Transaction",
    "Turn",
    "Unauthenticated",
    "Usage",
    "UseCases",
    "UserId",
    "UserRole",
    "Uuid7Ids",
    "Verdict",
    "VerifyLedger",
    "Wallet",
    "WalletId",
    "assemble",
    "keep_hold",
    "keep_posting",
    "settle_hold",
]
