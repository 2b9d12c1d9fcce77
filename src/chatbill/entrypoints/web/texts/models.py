"""Templates for why a model cannot answer, and for how it fits in memory."""

from __future__ import annotations

from collections.abc import Mapping

from chatbill.domain.shared.descriptions import Param
from chatbill.entrypoints.web.texts.amounts import Template

_STAGES = {
    "wait": "it waits for another process that fetches it",
    "download": "it is being fetched",
    "check": "its files are being checked",
    "unpack": "its files are being unpacked",
    "convert": "its files are being converted",
    "turn": "it waits until other models are loaded",
    "room": "it waits for another model to make room",
    "load": "it is being loaded",
}


def _loading(params: Mapping[str, Param]) -> str:
    """Return how far the loading is, as in "it is being loaded, 40 %"."""
    words = _STAGES.get(str(params["stage"]), _STAGES["load"])
    return f"{words}, {params['percent']} %" if "percent" in params else words


def _still_loading(params: Mapping[str, Param]) -> str:
    return f"{_loading(params)}; try again in a moment"


def _load_stalled(params: Mapping[str, Param]) -> str:
    return (
        f"its loading has not got further for {params['after_s']:g} s ({_loading(params)}); "
        "it is loaded again once that comes to an end, or when the service is restarted"
    )


def _not_reloaded(params: Mapping[str, Param]) -> str:
    template = MODELS[str(params["cause"])]
    cause = template(params) if callable(template) else template.format_map(dict(params))
    return f"it stopped answering and could not be loaded again: {cause}"


def _memory(params: Mapping[str, Param]) -> str:
    """Return what a model needs and what is free; and, where that is too little, what would help."""
    need, weights, slots = _int(params, "need_bytes"), _int(params, "weights_bytes"), _int(params, "slots")
    about = "" if params["known"] else "about "
    at_once = "1 reply" if slots == 1 else f"{slots} replies at once"
    free = "would be free without other models" if params["without_others"] else "are free"
    keeps = _int(params, "prefix_bytes") if "prefix_bytes" in params else 0
    beside = f", {_gigabytes(keeps)} of which keep what it has read" if keeps else ""
    return (
        f"needs {about}{_gigabytes(need)} of {params['where']} ({_gigabytes(weights)} for its weights, "
        f"{_gigabytes(need - weights)} to load it and write {at_once}) "
        f"and {_gigabytes(_int(params, 'free_bytes'))} {free}{beside}{_memory_advice(params)}"
    )


def _memory_advice(params: Mapping[str, Param]) -> str:
    if "wanted_slots" in params:
        wanted = _gigabytes(_int(params, "wanted_bytes"))
        return f"; {params['wanted_slots']} replies at once would take {wanted}, so it writes {params['slots']}"
    if "short_bytes" not in params:
        return ""
    missing = f"; free {_gigabytes(_int(params, 'short_bytes'))} more"
    if "context_tokens" in params:
        context = params["context_tokens"]
        return f"{missing}, or set context_tokens to {context} in the catalogue, with which it would fit"
    return f"{missing}{', load it in int8' if params['int8'] else ''}, or choose a smaller model"


def _no_room(params: Mapping[str, Param]) -> str:
    return f"there is no room for it beside {params['others']}; it {_memory(params)}"


def _int(params: Mapping[str, Param], name: str) -> int:
    return int(params[name] or 0)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


_SEE_LOG = "the service's operator finds the cause in the log"

MODELS: dict[str, Template] = {
    "text": "{text}",
    "model_service_stopping": "the service is stopping",
    "model_unknown": "the engine does not know this model",
    "model_silent": "It has not written a token for too long; the service's log has the cause.",
    "model_failed_repeatedly": "it failed {failures} times in a row; it comes back once a trial works",
    # Models on servers
    "model_server_not_answered": "its server has not answered yet",
    "model_server_unreachable": "its server cannot be reached; try again in a moment",
    "model_server_broken": "its server is not working properly; try again in a moment",
    "model_server_busy": "its server takes no more requests for now; try again in a moment",
    "model_server_refuses": f"its server refuses requests; {_SEE_LOG}",
    "model_not_set_up": f"it is not set up correctly; {_SEE_LOG}",
    "model_window_too_small": f"it does not even take a short message; {_SEE_LOG}",
    # Models of this machine
    "model_loading": _loading,
    "model_still_loading": _still_loading,
    "model_load_stalled": _load_stalled,
    "model_waits_for_another": (
        "another model has been on its way into memory for too long; the service's log says which"
    ),
    "model_stuck": "it stopped answering for {after_s:g} s and is being loaded again",
    "model_not_loaded": "it could not be loaded ({error}); the log has the cause",
    "model_not_reloaded": _not_reloaded,
    "model_files_missing": "its files are not where the service looks for them",
    "model_not_fetched": f"its files could not be fetched; {_SEE_LOG}",
    "model_file_broken": f"its file is not a complete GGUF file of a text model; {_SEE_LOG}",
    "model_process_failed": f"its process ended while it was loaded (exit code {{exit_code}}); {_SEE_LOG}",
    "model_needs_package": "it needs the Python package {package}, which is not installed",
    "model_without_chat_template": "its tokenizer has no chat template, so it is not a chat model",
    "model_attention_unsupported": "its kind of attention is not supported",
    "model_layers_unsupported": "not all of its layers keep keys and values",
    "model_memory": _memory,
    "model_no_room": _no_room,
    "model_size_unknown": "its size is not known before it is fetched",
    "model_on_server": "runs on a server and needs no memory here",
}
"""A template for each code; those of loading and of memory are functions of their parameters."""
