"""Other people's formats, in and out: a person's history comes in, and can leave again."""

from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import LIMITS, Limits
from haulout.interchange.importer import RememberMany, SecretPolicy, import_file
from haulout.interchange.records import ImportedMemory, Problem, Report, SecretNotice
from haulout.interchange.registry import ADAPTERS, detect
from haulout.interchange.secrets import Secret, find_secrets
from haulout.interchange.transfer import Loss, transfer_text

__all__ = [
    "ADAPTERS",
    "LIMITS",
    "Adapter",
    "ImportedMemory",
    "Limits",
    "Loss",
    "Problem",
    "RememberMany",
    "Report",
    "Secret",
    "SecretNotice",
    "SecretPolicy",
    "detect",
    "find_secrets",
    "import_file",
    "transfer_text",
]
