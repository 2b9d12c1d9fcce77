"""What the staff does with an account. Each act has a reason, which stays in the audit trail."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.revoke_keys import WhichKeys
from chatbill.application.administration.update_user import UserChange
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.accounts.users import AccountState, UserRole
from chatbill.domain.shared.ids import InteractionId, UserId
from chatbill.entrypoints.ui.administration.people import base_of, once
from chatbill.entrypoints.ui.administration.sections import ACTIONS, HOME, id_of
from chatbill.entrypoints.ui.shared.forms import text_fields, whole_number
from chatbill.entrypoints.ui.shared.visits import Site, Visit, done
from chatbill.entrypoints.web.language import current, ngettext
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.parameters import checked_choice
from chatbill.entrypoints.web.password_links import link_address
from chatbill.entrypoints.web.texts import credits_text


def person_actions(site: Site) -> None:
    """Add the actions."""
    acts = _Acts(site)
    one = f"{ACTIONS}/people/{{user_id}}"
    site.post(f"{one}/state", acts.set_state, Permission.MANAGE_PEOPLE)
    site.post(f"{one}/role", acts.set_role, Permission.MANAGE_ROLES)
    site.post(f"{one}/sign-out", acts.sign_out, Permission.MANAGE_PEOPLE)
    site.post(f"{one}/password-link", acts.make_link, Permission.MANAGE_PEOPLE)
    site.post(f"{one}/second-factor", acts.remove_second_factor, Permission.MANAGE_PEOPLE)
    site.post(f"{one}/keys", acts.revoke_keys, Permission.MANAGE_PEOPLE)
    site.post(f"{one}/credits", acts.adjust_credits, Permission.ADJUST_CREDITS)
    site.post(f"{one}/erase", acts.erase, Permission.ERASE_PEOPLE)
    site.post(f"{ACTIONS}/requests/{{interaction_id}}/refund", acts.refund, Permission.REFUND)


class _Acts:
    def __init__(self, site: Site) -> None:
        self._use_cases = site.use_cases
        self._administration = site.use_cases.administration

    async def set_state(self, visit: Visit) -> Response:
        state, reason = await text_fields(visit.request, "state", "reason")
        change = UserChange(state=checked_choice("state", state, AccountState))
        await self._administration.update_user(visit.principal, _user(visit), change, AdminAction(reason=reason))
        if change.state is AccountState.ACTIVE:
            return done(say=_("The account is active again."), refresh=True)
        return done(say=_("The account is suspended."), refresh=True)

    async def set_role(self, visit: Visit) -> Response:
        role, reason = await text_fields(visit.request, "role", "reason")
        change = UserChange(role=checked_choice("role", role, UserRole))
        await self._administration.update_user(visit.principal, _user(visit), change, AdminAction(reason=reason))
        return done(say=_("The role was changed."), refresh=True)

    async def sign_out(self, visit: Visit) -> Response:
        ended = await self._administration.sign_out_user(visit.principal, _user(visit), await _reason(visit))
        text = ngettext("{count} session was ended.", "{count} sessions were ended.", ended)
        return done(say=text.format(count=current().number(ended)), refresh=True)

    async def make_link(self, visit: Visit) -> Response:
        link = await self._administration.make_password_link(visit.principal, _user(visit), await _reason(visit))
        address = link_address(base_of(visit), link.token)
        return once(visit, "link.html", link=address, expires_at=link.expires_at, user=None)

    async def remove_second_factor(self, visit: Visit) -> Response:
        await self._administration.remove_second_factor(visit.principal, _user(visit), await _reason(visit))
        return done(say=_("The second factor was removed."), refresh=True)

    async def revoke_keys(self, visit: Visit) -> Response:
        record = await self._administration.show_user(visit.principal, _user(visit))
        which = WhichKeys(owner=record.user.username)
        revoked = await self._administration.revoke_keys(visit.principal, which, await _reason(visit))
        text = ngettext("{count} API key was revoked.", "{count} API keys were revoked.", len(revoked))
        return done(say=text.format(count=current().number(len(revoked))), refresh=True)

    async def adjust_credits(self, visit: Visit) -> Response:
        amount, reason, key = await text_fields(visit.request, "amount", "reason", "key")
        action = AdminAction(reason=reason, idempotency_key=key or None)
        entry = await self._administration.adjust_credits(visit.principal, _user(visit), _amount(amount), action)
        text = _("The balance is {balance} now.").format(balance=credits_text(entry.balance_after))
        return done(say=text, refresh=True)

    async def erase(self, visit: Visit) -> Response:
        await self._administration.erase_user(visit.principal, _user(visit), await _reason(visit))
        return done(say=_("The account was erased."), go=f"{HOME}/people")

    async def refund(self, visit: Visit) -> Response:
        reason, key = await text_fields(visit.request, "reason", "key")
        interaction_id = InteractionId(id_of(visit, "interaction_id", "interaction"))
        action = AdminAction(reason=reason, idempotency_key=key or None)
        entry = await self._administration.refund(visit.principal, interaction_id, action)
        text = _("Given back: {amount}.").format(amount=credits_text(entry.amount))
        return done(say=text, refresh=True)


def _user(visit: Visit) -> UserId:
    return UserId(id_of(visit, "user_id", "user"))


async def _reason(visit: Visit) -> AdminAction:
    (reason,) = await text_fields(visit.request, "reason")
    return AdminAction(reason=reason)


def _amount(text: str) -> int:
    """Return a signed amount of credits. Raises `InvalidRequest`."""
    digits = text.strip().replace("\N{MINUS SIGN}", "-")
    amount = whole_number("amount", digits.removeprefix("+").removeprefix("-"))
    return -amount if digits.startswith("-") else amount
