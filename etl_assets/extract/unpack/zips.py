"""Zip archives, encrypted ones too."""

from __future__ import annotations

import io
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from etl_assets.errors import DeliveryError, DeliveryIncompleteError, EnvironmentFaultError
from etl_assets.extract.unpack.member import (
    Member,
    check_count,
    check_size,
    is_wanted,
    no_member_matches,
    two_of_one_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.model.secret import Secret

ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
"""The first bytes of a zip archive."""
_DOCUMENTS: Final = frozenset({"[Content_Types].xml", "mimetype"})
_ENCRYPTED: Final = 0x1


class Archive(NamedTuple):
    """An open archive, the error that its library raises for damage, and whether it decrypts members."""

    zip: zipfile.ZipFile
    damage: type[Exception] = zipfile.BadZipFile
    decrypts: bool = False


def is_document(stream: BinaryIO) -> bool:
    """Return whether a zip archive is an office document, which is not unpacked; leave the stream at its start."""
    try:
        with _directory(stream) as archive:
            return not _DOCUMENTS.isdisjoint(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError):
        return False
    finally:
        stream.seek(0)


@contextmanager
def opened_zip(stream: BinaryIO, name: str, pattern: str, password: Secret | None) -> Iterator[Archive]:
    """Open an archive for a block, with its password if a wanted member is encrypted.

    Args:
        stream: The archive, seekable.
        name: Its name in errors.
        pattern: Glob for the members that are wanted.
        password: Of encrypted members.

    Raises:
        DeliveryIncompleteError: If its end is missing.
        DeliveryError: If it is of a newer kind of zip, or encrypted and no password is declared.
    """
    try:
        archive = _directory(stream)
    except NotImplementedError as error:
        raise _unreadable(name, error) from error
    except zipfile.BadZipFile as error:
        raise DeliveryIncompleteError(
            f"{name} is a zip archive without its end ({error}). Nothing was written. "
            "Fetch it again once the publisher has finished it."
        ) from error
    with archive:
        encrypted = [info for info in archive.infolist() if info.flag_bits & _ENCRYPTED]
        locked = [info.filename for info in encrypted if is_wanted(info.filename, pattern)]
        if not locked:
            yield Archive(archive)
            return
    if password is None:
        raise DeliveryError(
            f"{locked[0]} in {name} is encrypted. Nothing was written. Declare the password: "
            "password=Secret('NAME'), where NAME is the environment variable that has it."
        )
    with _decrypting(stream) as decrypting:
        decrypting.zip.setpassword(password.read().encode())
        yield decrypting


def zip_members(archive: Archive, name: str, pattern: str) -> Iterator[tuple[str, BinaryIO]]:
    """Return name and stream of each file of an archive that matches a pattern; see `unpack`."""
    return _opened(archive, _matching(archive.zip, name, pattern), name)


@contextmanager
def _decrypting(stream: BinaryIO) -> Iterator[Archive]:
    """Open an archive with the library that knows the encryption of WinZip, too."""
    try:
        import pyzipper  # noqa: PLC0415 -- of an extra
    except ImportError:
        raise EnvironmentFaultError(
            "The archive is encrypted, and the package that decrypts it is not installed. Nothing was written. "
            "Install it: pip install 'etl-assets[passwords]'."
        ) from None
    stream.seek(0)
    with pyzipper.AESZipFile(stream) as archive:
        yield Archive(archive, pyzipper.BadZipFile, decrypts=True)


def _opened(archive: Archive, infos: list[zipfile.ZipInfo], name: str) -> Iterator[tuple[str, BinaryIO]]:
    for info in infos:
        where = f"{info.filename} in {name}"
        if archive.decrypts:
            where += ", which is encrypted and whose password may be wrong,"
        try:
            inner: Any = archive.zip.open(info)
        except NotImplementedError as error:
            raise _unreadable(where, error) from error
        except RuntimeError:
            raise DeliveryError(
                f"{info.filename} in {name} is encrypted with another password. Nothing was written. Correct the value "
                "of the secret that password= names."
            ) from None
        except archive.damage as error:
            raise DeliveryIncompleteError(
                f"{where} is damaged ({error}). Nothing was written. Fetch it again."
            ) from error
        with inner:
            member = Member(inner, info.filename, where, info.compress_size, archive.damage, claimed=info.file_size)
            yield info.filename, member.as_stream()


def _directory(stream: BinaryIO) -> zipfile.ZipFile:
    """Open an archive by its directory, which is at its end.

    Raises:
        zipfile.BadZipFile: If the directory is missing or damaged.
        NotImplementedError: If a member needs a newer version of zip.
    """
    try:
        archive = zipfile.ZipFile(stream)
    except ValueError as error:
        raise zipfile.BadZipFile(f"Bad central directory: {type(error).__name__}") from None
    size = stream.seek(0, io.SEEK_END)
    if not all(0 <= info.header_offset < size for info in archive.infolist()):
        raise zipfile.BadZipFile("Bad offset of a member")
    return archive


def _unreadable(where: str, error: NotImplementedError) -> DeliveryError:
    return DeliveryError(
        f"{where} is packed in a way that cannot be read ({error}). Nothing was written. "
        "Ask the publisher for ordinary zip."
    )


def _matching(archive: zipfile.ZipFile, name: str, pattern: str) -> list[zipfile.ZipInfo]:
    """Return the members that match; raise if the archive is not sound."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    check_count(len(infos), name)
    wanted = [info for info in infos if is_wanted(info.filename, pattern)]
    if not wanted:
        raise no_member_matches(name, [info.filename for info in infos], pattern)
    if len({info.filename for info in wanted}) < len(wanted):
        raise two_of_one_name(name)
    check_size(sum(info.file_size for info in wanted), name)
    return wanted
