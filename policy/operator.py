"""The operator's policy: what the person who runs this gateway allows, in one YAML file."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from trilemma.errors import SpecError

from .hostrule import HostRule, canonical_name
from .yamltext import read_document_file, validate

__all__ = [
    "Approval",
    "Crossings",
    "EgressPolicy",
    "HostRule",
    "OperatorPolicy",
    "Providers",
    "load_operator_policy",
]


def _canonical_address(text: str) -> str:
    try:
        if "%" in text:
            raise ValueError("a zone")
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise SpecError(f"{text!r} is not an address; write one such as '192.0.2.7'") from None


def _canonical_exemption(text: str) -> str:
    """``10.0.0.0/8``, ``10.0.0.7``, ``10.0.0.7:8443``, ``fd00::7`` or ``[fd00::7]:443``."""
    address, port = text, ""
    if text.startswith("["):
        address, _, port = text[1:].partition("]:")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    try:
        if "%" in text:
            raise ValueError("a zone")
        if address == text:
            return str(ipaddress.ip_network(text)).removesuffix("/32").removesuffix("/128")
        if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
            raise ValueError(port)
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise SpecError(
            f"{text!r} is not an address or a range; write 10.0.0.0/8, 10.0.0.7 or 10.0.0.7:8443"
        ) from None
    return f"{parsed}:{int(port)}" if parsed.version == 4 else f"[{parsed}]:{int(port)}"


Bytes = Annotated[int, Field(ge=0, le=2**53)]
HostName = Annotated[str, AfterValidator(canonical_name)]
Address = Annotated[str, AfterValidator(_canonical_address)]
Exemption = Annotated[str, AfterValidator(_canonical_exemption)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./:-]{0,127}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Providers(_Part):
    """Which model providers may see what agents read."""

    under_contract: tuple[Name, ...] = ()
    """Providers whose models may be called by agents that hold no internet."""


class EgressPolicy(_Part):
    """Where traffic may go, and how much."""

    allow: tuple[HostRule, ...] | None = None
    """Destinations for every agent; an agent's own list can only narrow it. Null: no list."""
    private: tuple[Exemption, ...] = ()
    """Addresses and ranges that are refused unless they are named here."""
    hosts: dict[HostName, Address] = Field(default_factory=dict)
    """Fixed addresses of names, instead of asking DNS."""
    bytes_out: Bytes = 16 * 1024
    """What the structured requests of one domain may carry out in all."""
    tunnel_bytes_out: Bytes = 64 * 1024 * 1024
    """What the tunnels of one domain may carry out in all."""


class Approval(_Part):
    """What waits for a person."""

    tools: tuple[Name, ...] = ()
    """Tools whose every call a person must approve."""


class Crossings(_Part):
    """What may cross between domains as values of declared types."""

    bits: int = Field(default=65_536, ge=0, le=2**53)
    """For each principal and for each workspace, for ever: nothing fills it again."""


class OperatorPolicy(_Part):
    """What the operator allows. Nothing in it can lift the rule."""

    version: Literal[1] = 1
    providers: Providers = Providers()
    egress: EgressPolicy = EgressPolicy()
    approval: Approval = Approval()
    crossings: Crossings = Crossings()
    rego: Path | None = None
    """A folder with the organisation's own refusals in Rego, beside this file or absolute."""

    def as_data(self) -> dict[str, Any]:
        """What the policy engine sees as ``data.operator``: all but where files lie."""
        return self.model_dump(mode="json", exclude={"rego"})


def load_operator_policy(path: Path, *, missing_ok: bool = False) -> OperatorPolicy:
    """Read the operator's policy.

    ``missing_ok`` gives the default policy where there is no such file, and only then.

    Raises:
        SpecError: the file cannot be read, is not strict YAML, or is not an operator's policy.

    """
    if missing_ok and _is_absent(path):
        return OperatorPolicy()
    document = read_document_file(path)
    policy = validate(OperatorPolicy, document.value, str(path), document.places)
    if policy.rego is None:
        return policy
    return policy.model_copy(update={"rego": path.resolve().parent / policy.rego})


def _is_absent(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise SpecError(f"cannot read {str(path)!r}: {error.strerror}") from error
    return False
