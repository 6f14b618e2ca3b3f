"""Protocols of another domain, to score arms with"""

from __future__ import annotations

from pathlib import Path

from pyannote.database import Protocol

from ...data.protocol import check_references, load_protocol, naming_subset
from ...data.protocol_files import reference_of
from ...files.schema import refuse


def load_out_of_domain(database: Path, name: str) -> Protocol:
    """Load a protocol, and check the references of its development set

    Raises
    ------
    ValueError
        If there is no such protocol, or if a recording has no reference, or an impossible one.
    """
    protocol = load_protocol(database, name)
    check_references(protocol, "development")
    with naming_subset("development", name):
        for file in protocol.development():
            if reference_of(file) is None:
                refuse("annotation", f"given for {file['uri']!r}", None)
    return protocol
