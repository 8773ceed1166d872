"""Which types a file may name without being trusted: a list of exact types, and plain data classes. PYTEST_DONT_REWRITE

Checking a value against a type runs that type's code, and a type such as `pydantic.ImportString` imports what the value
names. So an untrusted file may name the types of the list, and those data classes of imported modules
(enums, pydantic models, dataclasses, named tuples, typed dicts) whose fields have such types only.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import types
import typing
import uuid
from typing import Any

from dspex_core.errors import ArtifactError
from dspex_core.plain.prompt_values import FunctionTool, PromptValue
from dspex_core.signatures.declared_types import each_part
from dspex_core.storage.class_paths import class_path, find_class

_STANDARD: frozenset[type] = frozenset(
    {
        *(dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone, decimal.Decimal, fractions.Fraction, uuid.UUID),
        *(pathlib.Path, pathlib.PurePath, pathlib.PosixPath, pathlib.WindowsPath),
        *(pathlib.PurePosixPath, pathlib.PureWindowsPath, re.Pattern),
        *(collections.OrderedDict, collections.defaultdict, collections.deque, collections.Counter),
        *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
    }
)
_FROM_LIBRARIES = frozenset(
    {
        *("numpy:ndarray", "numpy:generic", "numpy:bool", "numpy:bool_", "numpy:str_", "numpy:datetime64"),
        *(f"numpy:{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)),
        *("pandas._libs.tslibs.timestamps:Timestamp", "pandas.core.frame:DataFrame", "pandas.core.series:Series"),
        *(f"pydantic.networks:{name}" for name in ("AnyUrl", "AnyHttpUrl", "HttpUrl", "EmailStr", "NameEmail")),
        *(f"pydantic.types:{name}" for name in ("SecretStr", "SecretBytes", "ByteSize", "Json")),
    }
)


def find_type(path: str, *, allow_import: bool) -> type:
    """Return the type that a file names for a field.

    Args:
        path: As `class_path` returned it.
        allow_import: Whether the file is trusted; then it may name any type of any module.

    Raises:
        ArtifactError: The type does not exist, or an untrusted file may not name it.
    """
    found = find_class(path, allow_import=allow_import)
    if allow_import:
        return found
    unknown = _first_unknown(found)
    if unknown is not None or not (_is_listed(found) or class_path(found) == path):
        inside = "" if unknown in (found, None) else f", which has {unknown!r} in it"
        raise ArtifactError(
            f"it names the type {path!r}{inside}, and checking a value of that could run any code: "
            "load with allow_import=True if you trust the file"
        )
    return found


def _first_unknown(type_: Any) -> Any:
    """Return a part of a type that is not known to be data, or `None`."""
    return next((part for part in each_part(type_) if not _is_known(part)), None)


def _is_known(part: Any) -> bool:
    if isinstance(part, str | typing.ForwardRef):  # an unresolved name of a type
        return False
    if not isinstance(part, type):
        return not _imports(type(part))  # what stands beside a type in Annotated, a type variable, Any, ...
    return _is_listed(part) or _is_data_class(part)


def _is_listed(cls: type) -> bool:
    listed = cls.__module__ in ("builtins", "typing", "collections.abc", "types") or cls in _STANDARD
    return listed or _is_ours(cls) or f"{cls.__module__}:{cls.__qualname__}" in _FROM_LIBRARIES


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0] and issubclass(
        cls, PromptValue | FunctionTool | enum.Enum
    )


def _is_data_class(cls: type) -> bool:
    if issubclass(cls, enum.Enum) or dataclasses.is_dataclass(cls) or typing.is_typeddict(cls):
        return True
    return _is_named_tuple(cls) or _is_model(cls)


def _is_named_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _is_model(cls: type) -> bool:
    import pydantic  # a declared model implies that it is loaded

    return issubclass(cls, pydantic.BaseModel)


def _imports(cls: type) -> bool:
    import pydantic  # as above

    return cls in (pydantic.ImportString, types.ModuleType)
