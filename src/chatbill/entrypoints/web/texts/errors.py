"""Templates for errors, by their code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chatbill.domain.shared.descriptions import Param
from chatbill.entrypoints.web.language import N_, current, ngettext
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.texts.amounts import Template, credits_text

NOUNS: Final = {
    "alert": N_("alert"),
    "api_key": N_("API key"),
    "code": N_("code"),
    "conversation": N_("conversation"),
    "interaction": N_("interaction"),
    "job": N_("job"),
    "second_factor": N_("second factor"),
    "session": N_("session"),
    "user": N_("user"),
}
"""The nouns of things that were not found; others are named by their code."""

AWAITED: Final = {
    "reply": N_("No whole reply within {after_s} s; nothing was charged. Try again or ask for less."),
    "first_word": N_("No first word within {after_s} s; nothing was charged. Try again or ask for less."),
}
LIMITS: Final = {
    "day": N_(
        "This needs up to {required} and your own limit for this day leaves {available} of {limit}. Raise the limit in "
        "your account, or wait."
    ),
    "month": N_(
        "This needs up to {required} and your own limit for this month leaves {available} of {limit}. Raise the limit "
        "in your account, or wait."
    ),
}


def _not_found(params: Mapping[str, Param]) -> str:
    what = str(params["what"])
    if what == "nothing":
        return _("Nothing was found here.")
    noun = _(NOUNS.get(what, what))
    if "name" in params:
        return _("The {noun} {name} was not found here.").format(noun=noun, name=params["name"])
    return _("This {noun} was not found here.").format(noun=noun)


def _insufficient_credits(params: Mapping[str, Param]) -> str:
    return _("This needs up to {required} and you have {available}. Add credits and try again.").format(
        required=credits_text(params["required"]), available=_number(params["available"])
    )


def _cap_reached(params: Mapping[str, Param]) -> str:
    return _(
        "This needs up to {required} and this API key can spend {available} more of its {cap} before the month (UTC) "
        "ends. Use another key, or wait."
    ).format(
        required=credits_text(params["required"]), available=_number(params["available"]), cap=_number(params["cap"])
    )


def _spending_limit_reached(params: Mapping[str, Param]) -> str:
    return _(LIMITS[str(params["period"])]).format(
        required=credits_text(params["required"]),
        available=_number(params["available"]),
        limit=_number(params["limit"]),
    )


def _password_required(params: Mapping[str, Param]) -> str:
    within_s = float(params["within_s"] or 0)
    if not within_s:
        return _("This needs your password again: send it as password.")
    if within_s % 60:
        sentence = ngettext(
            "This needs your password again: send it as password, or sign in again and repeat this within {count} "
            "second.",
            "This needs your password again: send it as password, or sign in again and repeat this within {count} "
            "seconds.",
            int(within_s),
        )
        return sentence.format(count=f"{within_s:g}")
    minutes = int(within_s / 60)
    sentence = ngettext(
        "This needs your password again: send it as password, or sign in again and repeat this within {count} minute.",
        "This needs your password again: send it as password, or sign in again and repeat this within {count} minutes.",
        minutes,
    )
    return sentence.format(count=minutes)


def _generation_timeout(params: Mapping[str, Param]) -> str:
    return _(AWAITED[str(params["what"])]).format(after_s=f"{params['after_s']:g}")


def _context_length_exceeded(params: Mapping[str, Param]) -> str:
    """Return sentences with the words of OpenAI and other services, by which LiteLLM and LangChain know the error.

    Requests that are read `whole` come from their clients, so those sentences are not translated.
    """
    limit = f"This model's maximum context length is {params['limit']} tokens."
    counted = f"at least {params['tokens']} tokens" if "tokens" in params else ""
    if params["whole"] and "reply" in params and not counted:
        return (
            f"{limit} However, {params['reply']} tokens are for the completion alone, which exceeds the context "
            "window. Please reduce the length of the messages or completion."
        )
    if params["whole"]:
        found = f": it has {counted} and {params['reply']} are for the completion, which" if counted else " and"
        return (
            f"{limit} However, the prompt is too long{found} exceeds the context window. "
            "Please reduce the length of the messages or completion."
        )
    if counted:
        return _(
            "This model's maximum context length is {limit} tokens. However, your message has at least {tokens} tokens "
            "and {reply} are for the reply. Shorten it, or ask for a shorter reply."
        ).format_map(dict(params))
    return _(
        "This model's maximum context length is {limit} tokens. However, your message is longer, even without what was "
        "said before. Shorten it, or ask for a shorter reply."
    ).format_map(dict(params))


def _context_trimmed(params: Mapping[str, Param]) -> str:
    count = int(params["dropped_turns"] or 0)
    sentence = ngettext(
        "The model did not read the oldest message of this conversation, which no longer fit into its window.",
        "The model did not read the oldest {count} messages of this conversation, which no longer fit into its window.",
        count,
    )
    return sentence.format(count=_number(count))


def _number(value: Param) -> str:
    return current().number(int(value or 0))


ERRORS: dict[str, Template] = {
    "text": "{text}",
    "internal_error": "Something went wrong here, not with you. It has been logged.",
    # Signing in
    "unauthenticated": "Sign in first and send the access token, or send an API key.",
    "invalid_credentials": "The name or the password is not right.",
    "second_factor_required": "The password is right. Send a code of your app too, or one of your recovery codes.",
    "wrong_code": "This code is wrong, or was used before. Wait for the next one, or use a recovery code.",
    "wrong_current_password": "The current password is not right.",
    "password_required": _password_required,
    "token_expired": "The token has expired. Refresh it or sign in again.",
    "session_expired": "The session has expired. Sign in again.",
    "session_ended": "This session has ended. Sign in again.",
    "refresh_token_unknown": "This refresh token was not made here. Sign in again.",
    "refresh_token_ended": "This refresh token is not good any more. Sign in again.",
    "refresh_token_reused": "This refresh token was used before, so its session was ended. Sign in again.",
    "api_key_invalid": "This API key does not exist, or was revoked, or has expired. Make another one.",
    # Not allowed
    "forbidden": "Your account may not do this.",
    "texts_erased": "The text of this message was erased, so it cannot be answered again.",
    "own_account": "This is your own account. Another member of the staff must do this.",
    "account_disabled": "This account is disabled. Ask the operator why.",
    "outranked": "The role {role} has permissions that yours lacks. Ask an administrator.",
    "no_second_factors": "This service has no second factors.",
    "role_lacks_permission": "Your role does not have the permission {permission}. Ask an administrator.",
    "administrator_unknown": "No member of the staff is called {login}. Make one with: chatbill admin create",
    "api_key_not_allowed": "An API key may not do this. Sign in, and send the access token.",
    "scope_missing": "This API key lacks the scope {scope}. Make a key with it, or sign in and send the access token.",
    "registration_closed": "Registration is closed here. Ask the operator for an account.",
    "credits_not_sold": "Credits are not sold here. An administrator adds them: ask the operator of this service.",
    # Not found, and contradicting what is there
    "not_found": _not_found,
    "model_not_found": "There is no such model; choose one of: {known}.",
    "conflict": "This contradicts what is here already.",
    "username_taken": "This username is taken. Choose another one.",
    "email_taken": "This e-mail address already has an account. Sign in instead.",
    "request_in_progress": "The first request with this Idempotency-Key is still running. Try again shortly.",
    "request_interrupted": "The first request with this Idempotency-Key was interrupted; nothing was charged. "
    "Send it with a new key.",
    "idempotency_mismatch": "This Idempotency-Key came before with another request. Use a new key.",
    "second_factor_set": "You have a second factor already. Remove it first.",
    "key_name_taken": "You have an API key of this name. Choose another name, or revoke that key first.",
    "too_many_keys": "You have {max} API keys, which is the most. Revoke one first.",
    "refund_before_confirmation": "The payment is not confirmed yet. Send the refund again later.",
    "other_money": "The payment is of {asked}, and the provider says {paid}.",
    "reply_being_written": "A reply is being written in this conversation. Stop it first, then delete.",
    "code_redeemed_before": "You have redeemed this code already.",
    "code_used_up": "This code was redeemed as often as it may be.",
    "code_expired": "This code has expired.",
    "code_withdrawn": "This code was withdrawn.",
    "last_administrator": "This is the last administrator. Make another one first.",
    "user_erased": "This account was erased for good. The person can register again.",
    "job_not_failed": "This job is {state}. Only a job that failed can be tried again.",
    "alert_acknowledged": "This alert was acknowledged before.",
    "nothing_to_refund": "Nothing is left to refund: this was not charged, or was given back already.",
    "unsupported_media_type": "Send the body as JSON, with the header Content-Type: application/json.",
    "encoded_body": "Send the body as it is, without Content-Encoding: {encoding} is not decoded here.",
    # Credits and limits
    "insufficient_credits": _insufficient_credits,
    "cap_reached": _cap_reached,
    "spending_limit_reached": _spending_limit_reached,
    "too_many_tabs": "{max} tabs of yours are busy, and no more may be. Close one of them.",
    "rate_limited": "Too many requests. Try again in {retry_after_s} s.",
    "export_running": "An export of yours is being sent. Wait for its end, or stop it.",
    "exports_kept": "You have {max} exports. Each is removed a day after it was asked for.",
    "export_not_done": "This export is not done. Ask for it again later.",
    "exports_without_folder": "This service has no folder for exports.",
    "exports_taken": "Too many exports are being sent. Try again in {retry_after_s} s.",
    "too_many_replies": ("{max} of your replies are being written, and no more may. Try again in {retry_after_s} s."),
    "share_of_queue_taken": (
        "{count} of your messages have a place at this model, and others need places too. Wait for a reply, or try "
        "again in {retry_after_s} s; nothing was charged."
    ),
    "too_much_unpaid": (
        "Too many of your replies ended unpaid within an hour: they were stopped or left before the first word, took "
        "too long, or were empty. Try again in {retry_after_s} s."
    ),
    "too_much_text_unpaid": (
        "The messages of your unpaid replies within an hour are too long together. Send shorter ones, let replies "
        "finish, or try again in {retry_after_s} s."
    ),
    "too_many_codes": "Too many wrong codes. Use a recovery code later, or ask an administrator to remove the factor.",
    "too_many_codes_in_all": "Too many wrong codes are being tried. Try again in {retry_after_s} s.",
    "too_many_registrations": (
        "Too many accounts were made from your network. Try again in {retry_after_s} s, or ask the operator for an "
        "account."
    ),
    "request_timeout": "The request did not arrive whole in time. Try again.",
    "too_many_registrations_in_all": (
        "Too many accounts were made within an hour. Try again in {retry_after_s} s, or ask the operator for an "
        "account."
    ),
    "too_many_connections": "Too many requests are being answered. Try again in {retry_after_s} s.",
    "passwords_of_origin": "Too many sign-ins from your network wait already. Try again in {retry_after_s} s.",
    "passwords_in_all": "Too many people are signing in. Try again in {retry_after_s} s.",
    # Replies
    "service_stopping": "the service is stopping; try again in a moment",
    "overloaded": "All places are taken. Try again in {retry_after_s} s; nothing was charged.",
    "generation_failed": "The model could not finish this reply; nothing was charged. Try again.",
    "empty_reply": "The model wrote nothing; nothing was charged. Ask again, or in other words.",
    "out_of_memory": "The model ran out of memory; nothing was charged. Try a shorter message.",
    "reply_refused": "The model could not answer this message; nothing was charged. Try again, or in other words.",
    "engine_stopping": "The service is stopping; nothing was charged. Try again shortly.",
    "engine_stuck": "The model stopped answering and is being restarted; nothing was charged. Try again shortly.",
    "nothing_written": "The model wrote nothing.",
    "generation_timeout": _generation_timeout,
    "context_length_exceeded": _context_length_exceeded,
    "context_trimmed": _context_trimmed,
    "content_filter": "A content filter of the model's server ended this reply.",
    "interrupted": "The service stopped before the reply was whole; nothing was charged.",
    "reply_lost": "The reply was lost; nothing was charged.",
    "reply_unsettled": (
        "The reply could not be stored. Whether it was charged will show in your history; nothing is charged twice."
    ),
    # The file of the signing key
    "key_file_unreadable": "The key file {path} cannot be read: {cause}.",
    "key_file_exposed": (
        "The key file {path} can be read by others (mode {mode}), so its key may be known to them. "
        "Delete it and a new key will be made, which signs everybody out; "
        "or, if you are sure that no one else has read it: chmod 600 {path}"
    ),
    "key_file_too_short": (
        "The key file {path} holds {size} bytes and needs at least {min}. "
        "Delete it and a new key will be made, which signs everybody out."
    ),
    "key_file_not_writable": (
        "The key file {path} cannot be made: {cause}. "
        "Make the folder writable, or set CHATBILL_SECRET_KEY to at least 32 random characters."
    ),
}
