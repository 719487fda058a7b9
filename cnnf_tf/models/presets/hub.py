"""Presets on the Hugging Face hub, through that hub's own library (extra `hub`)."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from cnnf_tf.version import __version__

PREFIX = "hf://"
"""Before USER/MODEL[@REVISION], a model repository of the hub."""


def download(uri: str, files: Sequence[str]) -> pathlib.Path:
    """Fetches some files of a repository into the hub's cache; without a network, what the cache has of it.

    Args:
      uri: "hf://USER/MODEL", or "hf://USER/MODEL@REVISION" for a branch, tag or commit.
      files: their names; those that the repository lacks are left out.

    Returns:
      The folder that they are in.

    Raises:
      ImportError: the extra `hub` is not installed.
      ValueError: a malformed `uri`.
      FileNotFoundError: no such repository or revision, or a private one.
      PermissionError: a gated repository.
      ConnectionError: the hub cannot be reached, and the cache lacks the repository.
    """
    repository, revision = _parsed(uri)
    with _hub(uri, repository) as api:
        return pathlib.Path(api.snapshot_download(repository, revision=revision, allow_patterns=list(files)))


def upload_preset(uri: str, folder: str | os.PathLike[str]) -> str:
    """Puts a preset up on the hub, in a repository that is made if need be: its main branch gets a commit.

    Args:
      uri: "hf://USER/MODEL".
      folder: that `CNNF.save_to_preset` wrote; it is checked as for loading. Only the files of a preset are sent.

    Returns:
      The address of the commit.

    Raises:
      ValueError: a malformed `uri`, or a folder that is no whole preset.
      PermissionError: nobody is logged in, or may not write there.
      ImportError, ConnectionError: see `CNNF.from_preset`.
    """
    from cnnf_tf.models.presets import reading

    repository, revision = _parsed(uri)
    if revision is not None:
        raise ValueError(f"an upload goes to the main branch, {PREFIX}USER/MODEL; got {uri!r}.")
    reading.read(pathlib.Path(folder))
    with _hub(uri, repository) as api:
        api.create_repo(repository, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=list(reading.FILES),
            commit_message="A preset of cnnf_tf",
        )
    return commit.commit_url


def _parsed(uri: str) -> tuple[str, str | None]:
    """Repository and revision."""
    match = re.fullmatch(rf"{PREFIX}([\w-][\w.-]*/[\w-][\w.-]*)(?:@([^@\s]+))?", uri, re.ASCII)
    if match is None:
        raise ValueError(f"a preset of the hub is {PREFIX}USER/MODEL or {PREFIX}USER/MODEL@REVISION, got {uri!r}.")
    return match[1], match[2]


@contextlib.contextmanager
def _hub(uri: str, repository: str) -> Iterator[Any]:
    """Yields the hub's interface; an error of its library becomes one that says what it means here."""
    try:
        import huggingface_hub as library
        from huggingface_hub import constants, errors
    except ImportError as error:
        raise ImportError(
            f"{uri!r} is on the Hugging Face hub, which needs the extra `hub`: pip install 'cnnf_tf[hub]' ({error})."
        ) from error
    api = library.HfApi(library_name="cnnf_tf", library_version=__version__)
    place, login = api.endpoint, "log in with `hf auth login`, or set HF_TOKEN"
    # The bases of that error are those of the library below, httpx or requests, for want of a network.
    faults: Any = (*errors.HfHubHTTPError.__bases__, errors.LocalTokenNotFoundError, OSError, ValueError)
    try:
        yield api
    except faults as error:
        # The library wraps some of them in `LocalEntryNotFoundError`, for there might have been a copy in the cache.
        reason = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ else error
        status = getattr(getattr(reason, "response", None), "status_code", None)
        if isinstance(reason, errors.HFValidationError):
            raise ValueError(f"{uri!r} is no name of a repository: {reason}") from error
        if isinstance(reason, errors.GatedRepoError):
            raise PermissionError(
                f"{uri!r} is gated: accept its terms at {place}/{repository}, and {login}."
            ) from error
        if isinstance(reason, errors.RepositoryNotFoundError):
            raise FileNotFoundError(
                f"there is no model repository {repository!r} at {place}, or it is private; for a private one, {login}."
            ) from error
        if isinstance(reason, errors.RevisionNotFoundError):
            raise FileNotFoundError(f"{uri!r}: the repository has no such branch, tag or commit.") from error
        if isinstance(reason, errors.LocalTokenNotFoundError) or status in (401, 403):
            raise PermissionError(f"{uri!r} is not open to you ({_first_line(reason)}); {login}.") from error
        if status is not None:
            raise ConnectionError(f"{uri!r}: {place} answered: {_first_line(reason)}") from error
        if isinstance(reason, ValueError):
            raise
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{place} is out of reach"
        raise ConnectionError(
            f"{uri!r} cannot be had: {why}, and the cache does not hold all of it ({_first_line(reason)})"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
