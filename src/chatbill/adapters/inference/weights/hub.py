"""Download a model from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.utils.tqdm import disable_progress_bars

from chatbill.adapters.inference.catalogue.model_spec import HubSource
from chatbill.adapters.inference.weights.fetch import ModelNotFetched, Report, watching_folder

_HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model"]


def fetch_from_hub(source: HubSource, folder: Path, report: Report, *, advice: str) -> None:
    """Download a repository, or one file of it, into `folder`, and continue an earlier download that is not complete.

    Raises `ModelNotFetched`. Its message ends with `advice`, which says what to do on a machine without network.
    """
    disable_progress_bars()
    name = source.repository
    wanted = [source.file] if source.file else _HUB_FILES
    try:
        with watching_folder(folder, source.download_bytes, report):
            snapshot_download(name, revision=source.revision, local_dir=folder, allow_patterns=wanted)
    except GatedRepoError as error:
        raise ModelNotFetched(
            f"the licence of {name} must be accepted: sign in at https://huggingface.co/{name}, accept it, "
            f"create a read token at https://huggingface.co/settings/tokens and set it as HF_TOKEN. {advice}",
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFetched(
            f"the hub has no repository {name} that this account may read. Check the name, and set HF_TOKEN if it is "
            f"private or gated. {advice}",
        ) from error
    except OfflineModeIsEnabled as error:
        message = f"{name} is not on this machine and HF_HUB_OFFLINE forbids its download. {advice}"
        raise ModelNotFetched(message) from error
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise ModelNotFetched(
            f"{name} could not be downloaded from the hub ({reason[0]}). Check the network, HF_ENDPOINT and HF_TOKEN; "
            f"the next attempt continues this download. {advice}",
        ) from error
    except Exception as error:  # the hub's HTTP client raises errors that share no base class
        raise ModelNotFetched(
            f"{name} could not be downloaded from the hub ({type(error).__name__}). Check the network. {advice}",
        ) from error
