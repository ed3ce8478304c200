"""The comparison as text."""

from llm_serving_planner.engines.registry import label_of
from llm_serving_planner.logs import failures
from llm_serving_planner.logs.compare import Report, Row


def text_report(report: Report) -> str:
    """A table of what is known, the verdict, and the ways out."""
    lines = [_head(report), ""]
    if report.rows:
        lines.append(f"  {'':<32}{'planned':>10}{'measured':>10}{'off by':>9}   band")
        lines += [_line(row) for row in report.rows]
        lines.append("")
    cause = failures.cause(report.startup.failures)
    if cause is not None:
        lines.append(f"FAILED: {cause.kind}")
        lines.append(f"  {cause.line}")
    else:
        lines.append(_verdict(report))
    lines += [f"  try: {advice}" for advice in report.advice]
    return "\n".join(lines) + "\n"


def _head(report: Report) -> str:
    startup = report.startup
    engine = f"{label_of(startup.engine) or 'engine'} {startup.version}".strip()
    parts = [engine]
    if startup.workers > 1:
        fullest = startup.fullest
        parts.append(
            f"{startup.workers} ranks" + (f", the fullest is {fullest.name or 'the driver'}" if fullest else "")
        )
    if report.promise is not None:
        planned = report.promise.version
        against = f"against {report.promise.where}"
        if planned and startup.version and planned != startup.version:
            against += f" (planned for {planned})"
        parts.append(against)
    return "; ".join(parts)


def _line(row: Row) -> str:
    difference = "" if row.difference is None else f"{row.difference:+.2f}"
    band = ""
    if row.difference is not None and row.band is not None:
        band = f"{row.band:.2f}{' OFF' if row.off else ''}"
    name = f"{row.term}{' (' + row.unit + ')' if row.unit else ''}"
    numbers = f"{_number(row.planned, row.unit):>10}{_number(row.measured, row.unit):>10}{difference:>9}"
    return f"  {name:<32}{numbers}   {band:<9}{row.remark}".rstrip()


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if not unit and value >= 1000 else f"{value:.2f}"


def _verdict(report: Report) -> str:
    off = [row for row in report.rows if row.off and row.decides]
    if off:
        said = "; ".join(f"{row.term} {row.difference:+.2f} {row.unit}" for row in off)
        return f"OFF by more than the band: {said}"
    if report.promise is None:
        return "started" if report.startup.ready else "no failure in the log"
    return f"as planned, within {report.promise.margin:.2f} GiB"
