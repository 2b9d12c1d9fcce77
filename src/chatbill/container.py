"""The one place that knows every class: settings go in, use cases come out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dependency_injector import containers, providers

from chatbill.adapters.payments.sandbox import SandboxPayments
from chatbill.adapters.system import SystemClock, Uuid7Ids
from chatbill.application.accounts.authenticate import Authenticate
from chatbill.application.accounts.authenticate_key import AuthenticateKey
from chatbill.application.accounts.change_password import ChangePassword
from chatbill.application.accounts.create_api_key import CreateApiKey
from chatbill.application.accounts.list_api_keys import ListApiKeys
from chatbill.application.accounts.read_account import ReadAccount
from chatbill.application.accounts.refresh import Refresh
from chatbill.application.accounts.register import Register
from chatbill.application.accounts.revoke_api_key import RevokeApiKey
from chatbill.application.accounts.sign_in import SignIn, TokenLifetimes
from chatbill.application.accounts.sign_out import SignOut
from chatbill.application.administration.adjust_credits import AdjustCredits
from chatbill.application.administration.find_administrator import FindAdministrator
from chatbill.application.administration.list_keys_of_user import ListKeysOfUser
from chatbill.application.administration.refund import Refund
from chatbill.application.administration.revoke_keys import RevokeKeys
from chatbill.application.assembly import UseCases
from chatbill.application.audit.verify_ledger import VerifyLedger
from chatbill.application.billing.list_packages import ListPackages
from chatbill.application.billing.list_transactions import ListTransactions
from chatbill.application.billing.read_balance import ReadBalance
from chatbill.application.billing.top_up import TopUp
from chatbill.application.chat.delete_conversation import DeleteConversation
from chatbill.application.chat.list_conversations import ListConversations
from chatbill.application.chat.list_history import ListHistory
from chatbill.application.chat.list_models import ListModels
from chatbill.application.chat.messages import ReplyBounds
from chatbill.application.chat.read_conversation import ReadConversation
from chatbill.application.chat.rename_conversation import RenameConversation
from chatbill.application.chat.replies import Replies
from chatbill.application.chat.send_message import SendMessage
from chatbill.application.chat.stop_message import StopMessage
from chatbill.application.maintenance.apply_stop_requests import ApplyStopRequests
from chatbill.application.maintenance.check_readiness import CheckReadiness
from chatbill.application.maintenance.expire_holds import ExpireHolds
from chatbill.application.maintenance.forget_sessions import ForgetSessions
from chatbill.application.maintenance.write_check import WriteCheck
from chatbill.application.ports.rate_limits import Limit
from chatbill.application.ports.store import Store
from chatbill.domain.audit.proof import Tally
from chatbill.domain.chat.catalogue import Catalogue
from chatbill.engines import build_engine, server_check, specs_of
from chatbill.settings import Settings, SettingsError

if TYPE_CHECKING:
    # Each brings packages that a command without it should not wait for; see the functions below.
    from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
    from chatbill.adapters.inference.transformers.engine import ModelReport
    from chatbill.adapters.inference.transformers.measuring import ModelCheck
    from chatbill.adapters.inference.weights.library import ModelLibrary
    from chatbill.adapters.persistence.sqlite.backup import Copy
    from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
    from chatbill.adapters.security.passwords import Argon2Passwords
    from chatbill.adapters.security.tokens import JwtTokens


def _database(settings: Settings) -> str:
    """The address of the database, once it is known that there is a store for it."""
    from chatbill.adapters.persistence import check_address  # noqa: PLC0415

    try:
        check_address(settings.database)
    except ValueError as error:
        raise SettingsError(f"CHATBILL_DATABASE_URL: {error}") from None
    return settings.database


def _store(database: str, prefix: str) -> Store:
    from chatbill.adapters.persistence import open_store  # noqa: PLC0415

    return open_store(database, prefix=prefix)


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of one database: where it stands, and how it gets to where this version wants it."""

    url: str
    prefix: str

    def upgrade(self) -> None:
        """Bring it up to date; makes it where there is none. Raises `StoreUnavailable`."""
        from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

        schema.upgrade(self.url, prefix=self.prefix)

    def check(self) -> None:
        """Change nothing. Raises `StoreUnavailable` unless the schema is there and is what this version wants."""
        from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

        schema.check(self.url, prefix=self.prefix)

    def current(self) -> str | None:
        """Its revision; None where there is no schema yet."""
        from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

        return schema.current(self.url, prefix=self.prefix)

    def head(self) -> str:
        """The revision that this version wants."""
        from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

        return schema.head()


@dataclass(frozen=True, slots=True)
class Backups:
    """Copies of one database, and the way back."""

    url: str
    prefix: str

    def make(self, target: Path, *, force: bool) -> Copy:
        """Copy the database to a file while others use it, and prove the copy. Raises `StoreUnavailable`."""
        from chatbill.adapters.persistence.sqlite import backup  # noqa: PLC0415

        return backup.backup(self.url, target, force=force, prefix=self.prefix)

    def restore(self, source: Path, *, force: bool) -> Tally:
        """Put a copy in the database's place once its books are proved. Raises `StoreUnavailable`."""
        from chatbill.adapters.persistence.sqlite import backup  # noqa: PLC0415

        return backup.restore(self.url, source, force=force, prefix=self.prefix)


def _passwords() -> Argon2Passwords:
    from chatbill.adapters.security.passwords import Argon2Passwords  # noqa: PLC0415

    return Argon2Passwords()


def _tokens(settings: Settings) -> JwtTokens:
    from chatbill.adapters.security.keyfile import read_or_make_key  # noqa: PLC0415
    from chatbill.adapters.security.tokens import JwtTokens  # noqa: PLC0415

    if settings.secret_key is not None:
        return JwtTokens(settings.secret_key.get_secret_value().encode())
    return JwtTokens(read_or_make_key(settings.secret_key_file))


def _rate_limits() -> MovingWindowRateLimits:
    from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits  # noqa: PLC0415

    return MovingWindowRateLimits()


def _catalogue(specs: tuple[ModelSpec, ...], settings: Settings) -> Catalogue:
    from chatbill.adapters.inference.catalogue.model_spec import domain_catalogue  # noqa: PLC0415

    return domain_catalogue(specs, settings.price_overrides())


def _library(settings: Settings) -> ModelLibrary:
    from chatbill.adapters.inference.weights.library import ModelLibrary  # noqa: PLC0415

    return ModelLibrary(settings.data_dir / "models")


def _model_check(settings: Settings, specs: tuple[ModelSpec, ...], library: ModelLibrary) -> ModelCheck:
    from chatbill.adapters.inference.transformers.measuring import ModelCheck  # noqa: PLC0415

    return ModelCheck(specs=specs, library=library, slots=settings.batch_size, servers=server_check(settings))


def _bounds(settings: Settings) -> ReplyBounds:
    return ReplyBounds(
        deadline_s=settings.generation_timeout_s,
        grace_s=settings.hold_grace_s,
        max_message_chars=settings.max_message_chars,
        max_reply_tokens=settings.max_reply_tokens,
        rate=Limit(name="messages", times=settings.messages_per_minute, window_s=60),
        first_token_s=settings.first_token_timeout_s,
    )


def _sign_in_failures(settings: Settings) -> Limit:
    return Limit(name="sign-in failures", times=settings.sign_in_failures, window_s=300)


def _registrations(settings: Settings) -> Limit:
    return Limit(name="registrations", times=settings.registrations_per_hour, window_s=3_600)


def _sweep_allowance(settings: Settings) -> float:
    """A hold that is past its time may wait for two sweeps before the audit calls it lost."""
    return 2 * settings.sweep_interval_s + 1


class Container(containers.DeclarativeContainer):
    """Every provider of the service. Things with a state are made once; use cases are made from them.

    `settings` must be given. `report` hears how models come up, from other threads.
    """

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    report: providers.Provider[ModelReport] = providers.Object(lambda _model, _progress: None)

    clock = providers.Singleton(SystemClock)
    new_id = providers.Singleton(Uuid7Ids)
    database = providers.Singleton(_database, settings)
    schema = providers.Factory(Schema, database, settings.provided.database_prefix)
    backups = providers.Factory(Backups, database, settings.provided.database_prefix)
    store = providers.Singleton(_store, database, settings.provided.database_prefix)
    passwords = providers.Singleton(_passwords)
    tokens = providers.Singleton(_tokens, settings)
    rate_limits = providers.Singleton(_rate_limits)
    payments = providers.Singleton(SandboxPayments)
    replies = providers.Singleton(Replies, per_user=settings.provided.replies_per_user)

    library = providers.Singleton(_library, settings)
    specs = providers.Singleton(specs_of, settings, library)
    catalogue = providers.Singleton(_catalogue, specs, settings)
    model_check = providers.Factory(_model_check, settings, specs, library)
    engine = providers.Singleton(build_engine, settings, catalogue, specs, library, report)

    bounds = providers.Singleton(_bounds, settings)
    prices = settings.provided.price_list.call()
    failures = providers.Singleton(_sign_in_failures, settings)
    registrations = providers.Singleton(_registrations, settings)
    lifetimes = providers.Singleton(
        TokenLifetimes, access_s=settings.provided.access_token_s, refresh_s=settings.provided.refresh_token_s
    )
    web_lifetimes = providers.Singleton(
        # A browser keeps one token, as long as the sign-in lasts; signing out kills it in the store.
        TokenLifetimes,
        access_s=settings.provided.refresh_token_s,
        refresh_s=settings.provided.refresh_token_s,
    )

    adjust_credits = providers.Factory(
        AdjustCredits, store=store, clock=clock, new_id=new_id, max_debt=settings.provided.max_debt_credits
    )
    authenticate = providers.Factory(Authenticate, store=store, tokens=tokens, clock=clock)
    authenticate_key = providers.Factory(AuthenticateKey, store=store, tokens=tokens, clock=clock)
    change_password = providers.Factory(
        ChangePassword, store=store, passwords=passwords, rate_limits=rate_limits, clock=clock, failures=failures
    )
    list_models = providers.Factory(ListModels, engine=engine, catalogue=catalogue)
    write_check = providers.Singleton(WriteCheck, store, new_id)
    check_readiness = providers.Factory(CheckReadiness, write_check=write_check, list_models=list_models)
    create_api_key = providers.Factory(
        CreateApiKey,
        store=store,
        tokens=tokens,
        rate_limits=rate_limits,
        clock=clock,
        new_id=new_id,
        limit=Limit(name="API keys", times=60, window_s=3_600),
    )
    delete_conversation = providers.Factory(DeleteConversation, store=store, clock=clock)
    expire_holds = providers.Factory(ExpireHolds, store=store, clock=clock, new_id=new_id)
    find_administrator = providers.Factory(FindAdministrator, store=store)
    forget_sessions = providers.Factory(ForgetSessions, store=store, clock=clock)
    apply_stop_requests = providers.Factory(ApplyStopRequests, store=store, replies=replies)
    list_api_keys = providers.Factory(ListApiKeys, store=store, clock=clock)
    list_conversations = providers.Factory(ListConversations, store=store)
    list_history = providers.Factory(ListHistory, store=store)
    list_keys_of_user = providers.Factory(ListKeysOfUser, store=store, clock=clock)
    list_packages = providers.Factory(ListPackages, prices=prices)
    list_transactions = providers.Factory(ListTransactions, store=store)
    read_account = providers.Factory(ReadAccount, store=store)
    read_balance = providers.Factory(ReadBalance, store=store)
    read_conversation = providers.Factory(ReadConversation, store=store)
    refresh = providers.Factory(Refresh, store=store, tokens=tokens, clock=clock, lifetimes=lifetimes)
    refund = providers.Factory(Refund, store=store, clock=clock, new_id=new_id)
    register = providers.Factory(
        Register,
        store=store,
        passwords=passwords,
        rate_limits=rate_limits,
        clock=clock,
        new_id=new_id,
        limit=registrations,
        welcome_credits=settings.provided.welcome_credits,
        is_open=settings.provided.registration_open,
    )
    rename_conversation = providers.Factory(RenameConversation, store=store, clock=clock)
    revoke_api_key = providers.Factory(RevokeApiKey, store=store, clock=clock)
    revoke_keys = providers.Factory(RevokeKeys, store=store, clock=clock)
    send_message = providers.Factory(
        SendMessage,
        store=store,
        engine=engine,
        catalogue=catalogue,
        replies=replies,
        rate_limits=rate_limits,
        clock=clock,
        new_id=new_id,
        bounds=bounds,
        cached_price_percent=settings.provided.cached_price_percent,
    )
    sign_in = providers.Factory(
        SignIn,
        store=store,
        passwords=passwords,
        tokens=tokens,
        rate_limits=rate_limits,
        clock=clock,
        new_id=new_id,
        failures=failures,
        lifetimes=lifetimes,
    )
    web_sign_in = providers.Factory(sign_in, lifetimes=web_lifetimes)
    sign_out = providers.Factory(SignOut, store=store, clock=clock)
    stop_message = providers.Factory(StopMessage, store=store, replies=replies, clock=clock)
    top_up = providers.Factory(TopUp, store=store, provider=payments, prices=prices, clock=clock, new_id=new_id)
    verify_ledger = providers.Factory(
        VerifyLedger, store=store, clock=clock, sweep_allowance_s=providers.Singleton(_sweep_allowance, settings)
    )

    use_cases = providers.Singleton(
        UseCases,
        adjust_credits=adjust_credits,
        authenticate=authenticate,
        authenticate_key=authenticate_key,
        change_password=change_password,
        check_readiness=check_readiness,
        create_api_key=create_api_key,
        delete_conversation=delete_conversation,
        expire_holds=expire_holds,
        find_administrator=find_administrator,
        forget_sessions=forget_sessions,
        apply_stop_requests=apply_stop_requests,
        list_api_keys=list_api_keys,
        list_conversations=list_conversations,
        list_history=list_history,
        list_keys_of_user=list_keys_of_user,
        list_models=list_models,
        list_packages=list_packages,
        list_transactions=list_transactions,
        read_account=read_account,
        read_balance=read_balance,
        read_conversation=read_conversation,
        refresh=refresh,
        refund=refund,
        register=register,
        rename_conversation=rename_conversation,
        revoke_api_key=revoke_api_key,
        revoke_keys=revoke_keys,
        send_message=send_message,
        sign_in=sign_in,
        sign_out=sign_out,
        stop_message=stop_message,
        top_up=top_up,
        verify_ledger=verify_ledger,
        replies=replies,
    )
