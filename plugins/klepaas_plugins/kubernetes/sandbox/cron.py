"""Schedules of CronJobs: what is wrong with one, in the words of the parser the API server uses.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""

from __future__ import annotations

import re
import zoneinfo

_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_NAMES: dict[int, dict[str, int]] = {
    3: {name: number + 1 for number, name in enumerate(_MONTHS)},
    4: {name: number for number, name in enumerate(_DAYS)},
}
_DESCRIPTORS = {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}


def schedule_fault(schedule: str) -> str:
    """Why a schedule is none; empty for a good one."""
    if "TZ" in schedule:
        return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
    if schedule.startswith("@"):
        every = re.fullmatch(r"@every (\d+(\.\d+)?(ns|us|ms|s|m|h))+", schedule)
        return "" if schedule in _DESCRIPTORS or every else f"unrecognized descriptor: {schedule}"
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    faults = (_field(index, part) for index, text in enumerate(fields) for part in text.split(","))
    return next((fault for fault in faults if fault), "")


def _number(index: int, text: str) -> int:
    named = _NAMES.get(index, {}).get(text.lower())
    if named is not None:
        return named
    if not text.isascii() or not text.isdigit():
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def _field(index: int, text: str) -> str:
    least, most = _FIELDS[index]
    span, _, step = text.partition("/")
    begin, _, end = span.partition("-")
    try:
        low, high = (least, most) if begin in ("*", "?") else (_number(index, begin), 0)
        if begin not in ("*", "?"):
            high = _number(index, end) if end else most if step else low
        width = _number(index, step) if step else 1
    except ValueError as error:
        return str(error)
    if low < least:
        return f"beginning of range ({low}) below minimum ({least}): {text}"
    if high > most:
        return f"end of range ({high}) above maximum ({most}): {text}"
    if low > high:
        return f"beginning of range ({low}) beyond end of range ({high}): {text}"
    return "" if width else f"step of range should be a positive number: {text}"


def zone_fault(name: str) -> str:
    """Why a time zone is none; empty for a known one."""
    if not name:
        return "timeZone must be nil or non-empty string"
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return f"unknown time zone {name}"
    return ""
